#!/bin/sh
# Counts all users page by page and creates some, by curl. It knows nothing of rate
# limits, outages and retries.
set -eu

call() {
	curl --fail-with-body --silent --show-error --noproxy '*' --header "Authorization: SSWS $OKTA_API_TOKEN" "$@"
}

head=$(mktemp)
trap 'rm -f "$head"' EXIT

users() {
	url="$OKTA_ORG_URL/api/v1/users?limit=20" count=0
	while [ -n "$url" ]; do
		page=$(call --dump-header "$head" "$url")
		count=$((count + $(printf %s "$page" | grep -o '"login":' | wc -l)))
		url=$(sed -n 's/^[Ll]ink: <\(.*\)>; rel="next".*/\1/p' "$head")
	done
	echo "$count"
}

fewest=
for n in $(seq "${ROUNDS:-1}"); do
	count=$(users)
	if [ -z "$fewest" ] || [ "$count" -lt "$fewest" ]; then fewest=$count; fi
done
created=0
for n in $(seq "${CREATES:-1}"); do
	call --json "{\"profile\":{\"login\":\"curl$n@example.com\",\"email\":\"curl$n@example.com\"}}" "$OKTA_ORG_URL/api/v1/users" >/dev/null
	created=$((created + 1))
done
echo "{\"fewest\": $fewest, \"created\": $created}"
