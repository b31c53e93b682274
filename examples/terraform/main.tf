# Terraform through the sidecar. The provider okta/okta takes http_proxy as the URL that
# it calls in place of https://{org_name}.{base_url}; it need not be a proxy in HTTP's
# sense, though the sidecar is that as well.
#
#	oktaretry proxy --org https://acme.okta.com --token-file okta-token \
#	  --policy ../policies/terraform-and-ci.yaml
#	terraform apply -parallelism=20
#
# The sidecar waits out rate limits and outages, and holds the real token: Terraform's
# state, logs and environment never have it. Leave the provider's own retries off, which
# know less of Okta and would multiply the waits.

terraform {
  required_providers {
    okta = {
      source  = "okta/okta"
      version = "~> 6.0"
    }
  }
}

variable "sidecar" {
  description = "The address of the sidecar."
  type        = string
  default     = "http://127.0.0.1:8080"
}

provider "okta" {
  org_name   = "acme"
  base_url   = "okta.com"
  http_proxy = var.sidecar

  # The provider insists on a token. The sidecar replaces it by its own; with
  # --auth-token-file it demands the one in that file here.
  api_token = "the-sidecar-has-the-token"

  # The sidecar does these better: its waits are Okta's own, and the quota is shared with
  # whatever else goes through it (with --redis: on other machines, too).
  max_retries      = 0
  backoff          = false
  request_timeout  = 300 # a call may wait in line for a rate limit
  max_api_capacity = 100 # leave a share to others by maxUtilization in the policy
}

# Two hundred groups at once: a plan that meets 429s without the sidecar.
resource "okta_group" "team" {
  count       = 200
  name        = "team-${count.index}"
  description = "Made by Terraform through the sidecar"
}
