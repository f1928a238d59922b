module arcctl.dev/tools/helmfile

go 1.26.0

tool github.com/helmfile/helmfile

require github.com/helmfile/helmfile v1.8.0
