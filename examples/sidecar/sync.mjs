// Reads all users page by page, creates some and waits for a push to PUSH_USER, by the fetch of
// Node.js 18 or newer. It knows nothing of rate limits, outages and retries.

const org = process.env.OKTA_ORG_URL;

async function call(method, url, body) {
  const answer = await fetch(url, {
    method,
    headers: { authorization: "SSWS " + process.env.OKTA_API_TOKEN, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return answer;
}

async function users() {
  const all = [];
  for (let url = org + "/api/v1/users?limit=20"; url; ) {
    const page = await call("GET", url);
    all.push(...(await page.json()));
    url = /<([^>]*)>; rel="next"/.exec(page.headers.get("link") ?? "")?.[1];
  }
  return all;
}

async function create(login) {
  const answer = await call("POST", org + "/api/v1/users", { profile: { login, email: login } });
  return (await answer.json()).id;
}

async function push(user) {
  const factors = await (await call("GET", `${org}/api/v1/users/${user}/factors`)).json();
  let answer = await (await call("POST", `${org}/api/v1/users/${user}/factors/${factors[0].id}/verify`)).json();
  while (answer.factorResult === "WAITING") {
    await new Promise((done) => setTimeout(done, 200));
    answer = await (await call("GET", answer._links.poll.href)).json();
  }
  return answer.factorResult;
}

const rounds = [];
for (let n = 0; n < Number(process.env.ROUNDS ?? 1); n++) rounds.push((await users()).length);
const created = [];
for (let n = 0; n < Number(process.env.CREATES ?? 1); n++) created.push(await create(`node${n}@example.com`));
console.log(JSON.stringify({ fewest: Math.min(...rounds), created: new Set(created).size, push: await push(process.env.PUSH_USER) }));
