// Tests a program in Node against a fake Okta: node --test sync.test.mjs

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

// What is tested: a call that waits as long as Okta says. Yours is imported here.
async function okta(org, token, method, path, body) {
  for (;;) {
    const answer = await fetch(org + path, {
      method,
      headers: { Authorization: `SSWS ${token}`, "Content-Type": "application/json" },
      body: body && JSON.stringify(body),
    });
    if (answer.status !== 429) {
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
      return answer.json();
    }
    await answer.arrayBuffer();
    const now = Date.parse(answer.headers.get("Date"));
    await sleep(Math.max(0, Number(answer.headers.get("X-Rate-Limit-Reset")) * 1000 - now) + 1000);
  }
}

let fake, started;

before(async () => {
  fake = spawn(process.env.OKTARETRY ?? "oktaretry", ["fake", "--json", "--seed", "org.yaml"], {
    cwd: import.meta.dirname ?? new URL(".", import.meta.url).pathname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(fake.stdout), "line");
  started = JSON.parse(line);
});

after(async () => {
  fake.kill();
  await once(fake, "exit");
});

beforeEach(() => control("POST", "reset"));

async function control(method, path, body) {
  const answer = await fetch(started.control + path, { method, body: body && JSON.stringify(body) });
  assert.equal(answer.status, 200);
  return answer.json();
}

const call = (method, path, body) => okta(started.url, started.token, method, path, body);

async function journal(pattern) {
  const { requests } = await control("GET", `journal?${new URLSearchParams({ pattern })}`);
  return requests;
}

test("waits for the reset", async () => {
  await control("POST", "scripts", { pattern: "GET /api/v1/users", steps: [{ rateLimited: "1s" }] });
  const users = await call("GET", "/api/v1/users");
  assert.ok(users.some((user) => user.profile.login === "ann@example.com"));
  const [refused, served] = await journal("GET /api/v1/users");
  assert.deepEqual([refused.status, served.status], [429, 200]);
  assert.ok(served.unix - refused.unix >= 1);
  assert.deepEqual((await control("GET", "assertions")).nothingBeforeReset, []);
});

test("a create that fails is not sent again", async () => {
  await control("POST", "days/edge-outage", { on: ["POST /api/v1/users"] });
  await assert.rejects(call("POST", "/api/v1/users", { profile: { login: "new@example.com", email: "new@example.com" } }), /503/);
  assert.equal((await journal("POST /api/v1/users")).length, 1);
  assert.deepEqual((await control("GET", "assertions")).noDuplicateCreates, []);
});

test("the reset brings the seed back", async () => {
  const profile = { login: "new@example.com", email: "new@example.com", firstName: "New", lastName: "Moe" };
  await call("POST", "/api/v1/users", { profile });
  assert.equal((await control("GET", "health")).users, 4);
  await control("POST", "reset");
  assert.equal((await control("GET", "health")).users, 3);
  assert.deepEqual(await journal("*"), []);
});

test("asks for nothing that is not served", async () => {
  await call("GET", "/api/v1/groups");
  assert.deepEqual((await control("GET", "unserved")).unserved, []);
});
