"""Tests a program in Python against a fake Okta: python3 -m unittest -v test_sync.py"""

import email.utils
import json
import os
import subprocess
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request


def okta(org, token, method, path, body=None):
    """What is tested: a call that waits as long as Okta says. Yours is imported here."""
    while True:
        request = urllib.request.Request(org + path, method=method, data=json.dumps(body).encode() if body else None)
        request.add_header("Authorization", "SSWS " + token)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code != 429:
                    raise
                now = email.utils.parsedate_to_datetime(refused.headers["Date"]).timestamp()
                time.sleep(max(0, int(refused.headers["X-Rate-Limit-Reset"]) - now) + 1)


class Sync(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fake = subprocess.Popen(
            [os.environ.get("OKTARETRY", "oktaretry"), "fake", "--json", "--seed", "org.yaml"],
            stdout=subprocess.PIPE, cwd=os.path.dirname(os.path.abspath(__file__)))
        started = json.loads(cls.fake.stdout.readline())
        cls.org, cls.token, cls.api = started["url"], started["token"], started["control"]

    @classmethod
    def tearDownClass(cls):
        cls.fake.terminate()
        cls.fake.wait()
        cls.fake.stdout.close()

    def setUp(self):
        self.control("POST", "reset")

    def control(self, method, path, body=None):
        request = urllib.request.Request(self.api + path, method=method, data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def call(self, method, path, body=None):
        return okta(self.org, self.token, method, path, body)

    def journal(self, pattern):
        return self.control("GET", "journal?" + urllib.parse.urlencode({"pattern": pattern}))["requests"]

    def test_waits_for_the_reset(self):
        self.control("POST", "scripts", {"pattern": "GET /api/v1/users", "steps": [{"rateLimited": "1s"}]})
        logins = [user["profile"]["login"] for user in self.call("GET", "/api/v1/users")]
        self.assertIn("ann@example.com", logins)
        refused, served = self.journal("GET /api/v1/users")
        self.assertEqual([refused["status"], served["status"]], [429, 200])
        self.assertGreaterEqual(served["unix"] - refused["unix"], 1)
        self.assertEqual(self.control("GET", "assertions")["nothingBeforeReset"], [])

    def test_a_create_that_fails_is_not_sent_again(self):
        self.control("POST", "days/edge-outage", {"on": ["POST /api/v1/users"]})
        with self.assertRaises(urllib.error.HTTPError) as failed:
            self.call("POST", "/api/v1/users", {"profile": {"login": "new@example.com", "email": "new@example.com"}})
        failed.exception.close()
        self.assertEqual(failed.exception.code, 503)
        self.assertEqual(len(self.journal("POST /api/v1/users")), 1)
        self.assertEqual(self.control("GET", "assertions")["noDuplicateCreates"], [])

    def test_the_reset_brings_the_seed_back(self):
        user = {"profile": {"login": "new@example.com", "email": "new@example.com", "firstName": "New", "lastName": "Moe"}}
        self.call("POST", "/api/v1/users", user)
        self.assertEqual(self.control("GET", "health")["users"], 4)
        self.control("POST", "reset")
        self.assertEqual(self.control("GET", "health")["users"], 3)
        self.assertEqual(self.journal("*"), [])

    def test_asks_for_nothing_that_is_not_served(self):
        self.call("GET", "/api/v1/groups")
        self.assertEqual(self.control("GET", "unserved")["unserved"], [])


if __name__ == "__main__":
    unittest.main()
