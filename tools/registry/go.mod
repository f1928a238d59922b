// A real image registry, for the tests of bundles.
module arcctl.dev/tools/registry

go 1.26

tool github.com/distribution/distribution/v3/cmd/registry

require github.com/distribution/distribution/v3 v3.0.0
