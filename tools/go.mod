module github.com/oktaretry/oktaretry/tools

go 1.26
