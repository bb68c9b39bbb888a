# What Gantry needs of Cloudflare besides the Worker: the bucket, the publisher's token, the address, a rate limit.
# For Terraform from 1.5 and OpenTofu. See README.md beside this file.

terraform {
  required_version = ">= 1.5"
  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = "~> 5.22"
    }
  }
}

variable "account_id" {
  description = "The account, as `npx wrangler whoami` shows it."
  type        = string
}

variable "zone_id" {
  description = "The zone of the address, as the dashboard shows it on the zone's overview."
  type        = string
}

variable "hostname" {
  description = "The address of the registry, a name in the zone, such as registry.example.com."
  type        = string
}

variable "bucket" {
  description = "bucket_name in wrangler.toml."
  type        = string
  default     = "gantry"
}

variable "jurisdiction" {
  description = "jurisdiction in wrangler.toml: default, eu or fedramp."
  type        = string
  default     = "default"
}

variable "worker" {
  description = "name in wrangler.toml."
  type        = string
  default     = "gantry"
}

variable "worker_is_deployed" {
  description = "Whether the Worker exists: the address can be attached only then."
  type        = bool
  default     = false
}

variable "requests_per_10_seconds" {
  description = "Requests of one address that one data centre answers in 10 seconds. A pull is about 9 requests."
  type        = number
  default     = 600
}

provider "cloudflare" {
  # The token is read from CLOUDFLARE_API_TOKEN.
}

resource "cloudflare_r2_bucket" "images" {
  account_id   = var.account_id
  name         = var.bucket
  jurisdiction = var.jurisdiction

  lifecycle {
    # The images are in no other place.
    prevent_destroy = true
  }
}

# The publisher's token reads and writes objects of this bucket, and nothing else.
data "cloudflare_account_api_token_permission_groups_list" "bucket_items" {
  account_id = var.account_id
  scope      = "com.cloudflare.edge.r2.bucket"
}

locals {
  # Not by the argument "name": the provider encodes it once more.
  write_groups = [
    for group in data.cloudflare_account_api_token_permission_groups_list.bucket_items.result : group.id
    if group.name == "Workers R2 Storage Bucket Item Write"
  ]
}

resource "cloudflare_account_token" "publisher" {
  account_id = var.account_id
  name       = "gantry publisher"

  policies = [{
    effect            = "allow"
    permission_groups = [{ id = one(local.write_groups) }]
    resources = jsonencode({
      "com.cloudflare.edge.r2.bucket.${var.account_id}_${var.jurisdiction}_${cloudflare_r2_bucket.images.name}" = "*"
    })
  }]
}

resource "cloudflare_workers_custom_domain" "registry" {
  count = var.worker_is_deployed ? 1 : 0

  account_id = var.account_id
  zone_id    = var.zone_id
  hostname   = var.hostname
  service    = var.worker
}

# A zone has one ruleset of this phase: if it has rules already, add this one to them. The values are those that every
# plan has: on Free, an expression may name only the path, and both times are 10 seconds.
resource "cloudflare_ruleset" "rate_limit" {
  zone_id = var.zone_id
  name    = "gantry"
  kind    = "zone"
  phase   = "http_ratelimit"

  rules = [{
    description = "one address pulls too fast"
    expression  = "starts_with(http.request.uri.path, \"/v2/\")"
    action      = "block"
    ratelimit = {
      characteristics     = ["cf.colo.id", "ip.src"]
      period              = 10
      requests_per_period = var.requests_per_10_seconds
      mitigation_timeout  = 10
    }
  }]
}

locals {
  endpoint_part = var.jurisdiction == "default" ? "" : ".${var.jurisdiction}"
}

output "AWS_ENDPOINT_URL" {
  value = "https://${var.account_id}${local.endpoint_part}.r2.cloudflarestorage.com"
}

# R2's documentation, "Get S3 API credentials from an API token": the token's ID, and the SHA-256 of its value.
output "AWS_ACCESS_KEY_ID" {
  value = cloudflare_account_token.publisher.id
}

output "AWS_SECRET_ACCESS_KEY" {
  value     = sha256(cloudflare_account_token.publisher.value)
  sensitive = true
}
