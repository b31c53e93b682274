#!/usr/bin/env python3
"""Reads all users page by page, creates some and waits for a push to PUSH_USER. It needs Debian's
python3-requests, and knows nothing of rate limits, outages and retries."""

import json
import os
import time

import requests

org = os.environ["OKTA_ORG_URL"]
okta = requests.Session()
okta.headers["Authorization"] = "SSWS " + os.environ["OKTA_API_TOKEN"]
okta.trust_env = False  # no proxy of the environment


def call(method, url, **more):
    answer = okta.request(method, url, timeout=300, **more)
    answer.raise_for_status()
    return answer


def users():
    url = org + "/api/v1/users?limit=20"
    while url:
        page = call("GET", url)
        yield from page.json()
        url = page.links.get("next", {}).get("url")


def create(login):
    return call("POST", org + "/api/v1/users", json={"profile": {"login": login, "email": login}}).json()


def push(user):
    factor = call("GET", f"{org}/api/v1/users/{user}/factors").json()[0]["id"]
    answer = call("POST", f"{org}/api/v1/users/{user}/factors/{factor}/verify").json()
    while answer["factorResult"] == "WAITING":
        time.sleep(0.2)
        answer = call("GET", answer["_links"]["poll"]["href"]).json()
    return answer["factorResult"]


rounds = [list(users()) for _ in range(int(os.environ.get("ROUNDS", "1")))]
created = [create(f"python{n}@example.com")["id"] for n in range(int(os.environ.get("CREATES", "1")))]
print(json.dumps({"fewest": min(map(len, rounds)), "created": len(set(created)), "push": push(os.environ["PUSH_USER"])}))
