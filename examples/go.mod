module github.com/oktaretry/oktaretry/examples

go 1.26
