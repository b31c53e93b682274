module github.com/oktaretry/oktaretry/sidecar

go 1.26.0

require github.com/oktaretry/oktaretry v0.1.0

replace github.com/oktaretry/oktaretry => ../
