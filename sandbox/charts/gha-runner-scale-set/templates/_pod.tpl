{{- /* The pod of a runner: the user's, with what the container mode adds. */}}
{{- define "set.podSpec" -}}
{{- $mode := (.Values.containerMode | default dict).type | default "" }}
{{- $tls := .Values.githubServerTLS | default dict }}
{{- $spec := .Values.template.spec }}
{{- $rest := omit $spec "containers" "volumes" "initContainers" "serviceAccountName" "restartPolicy" }}
{{- with $rest }}
{{- toYaml . }}
{{ end }}
{{- /* */ -}}
restartPolicy: {{ default "Never" $spec.restartPolicy }}
serviceAccountName: {{ include "set.serviceAccount" . }}
{{- $inits := $spec.initContainers | default list }}
{{- if eq $mode "dind" }}
{{- $image := "" }}
{{- range $spec.containers }}{{ if eq .name "runner" }}{{ $image = .image }}{{ end }}{{ end }}
{{- $docker := dict "name" "dind" "image" "docker:dind" "args" (list "dockerd" "--host=unix:///var/run/docker.sock" "--group=$(DOCKER_GROUP_GID)") "env" (list (dict "name" "DOCKER_GROUP_GID" "value" "123")) "securityContext" (dict "privileged" true) "volumeMounts" (list (dict "name" "work" "mountPath" "/home/runner/_work") (dict "name" "dind-sock" "mountPath" "/var/run") (dict "name" "dind-externals" "mountPath" "/home/runner/externals")) "restartPolicy" "Always" }}
{{- $copy := dict "name" "init-dind-externals" "image" $image "command" (list "cp") "args" (list "-r" "/home/runner/externals/." "/home/runner/tmpDir/") "volumeMounts" (list (dict "name" "dind-externals" "mountPath" "/home/runner/tmpDir")) }}
{{- $inits = concat (list $copy $docker) $inits }}
{{- end }}
{{- with $inits }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
{{- range $container := $spec.containers }}
{{- $one := deepCopy $container }}
{{- if eq $container.name "runner" }}
{{- $env := list }}
{{- $mounts := list }}
{{- if eq $mode "dind" }}
{{- $env = list (dict "name" "DOCKER_HOST" "value" "unix:///var/run/docker.sock") (dict "name" "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS" "value" "120") }}
{{- $mounts = list (dict "name" "work" "mountPath" "/home/runner/_work") (dict "name" "dind-sock" "mountPath" "/var/run") }}
{{- else if include "set.isKubernetes" $ }}
{{- $hook := ternary "k8s-novolume" "k8s" (eq $mode "kubernetes-novolume") }}
{{- $env = list (dict "name" "ACTIONS_RUNNER_CONTAINER_HOOKS" "value" (printf "/home/runner/%s/index.js" $hook)) (dict "name" "ACTIONS_RUNNER_POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name"))) (dict "name" "ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER" "value" "true") }}
{{- if eq $mode "kubernetes" }}{{ $mounts = list (dict "name" "work" "mountPath" "/home/runner/_work") }}
{{- else }}{{ $env = append $env (dict "name" "ACTIONS_RUNNER_IMAGE" "value" $container.image) }}{{ end }}
{{- end }}
{{- if $tls.runnerMountPath }}
{{- $path := printf "%s/%s" (trimSuffix "/" $tls.runnerMountPath) $tls.certificateFrom.configMapKeyRef.key }}
{{- $env = concat $env (list (dict "name" "NODE_EXTRA_CA_CERTS" "value" $path) (dict "name" "RUNNER_UPDATE_CA_CERTS" "value" "1")) }}
{{- $mounts = append $mounts (dict "name" "github-server-tls-cert" "mountPath" $path "subPath" $tls.certificateFrom.configMapKeyRef.key) }}
{{- end }}
{{- $given := list }}
{{- range $container.env }}{{ $given = append $given .name }}{{ end }}
{{- $added := list }}
{{- range $env }}{{ if not (has .name $given) }}{{ $added = append $added . }}{{ end }}{{ end }}
{{- with concat ($container.env | default list) $added }}{{ $_ := set $one "env" . }}{{ end }}
{{- with concat ($container.volumeMounts | default list) $mounts }}{{ $_ := set $one "volumeMounts" . }}{{ end }}
{{- end }}
  - {{- toYaml $one | nindent 4 }}
{{- end }}
{{- $volumes := $spec.volumes | default list }}
{{- $named := list }}
{{- range $volumes }}{{ $named = append $named .name }}{{ end }}
{{- if eq $mode "dind" }}
{{- range $name := list "dind-sock" "dind-externals" "work" }}
{{- if not (has $name $named) }}{{ $volumes = append $volumes (dict "name" $name "emptyDir" dict) }}{{ end }}
{{- end }}
{{- else if and (eq $mode "kubernetes") (not (has "work" $named)) }}
{{- $claim := required ".Values.containerMode.kubernetesModeWorkVolumeClaim is required" $.Values.containerMode.kubernetesModeWorkVolumeClaim }}
{{- $volumes = append $volumes (dict "name" "work" "ephemeral" (dict "volumeClaimTemplate" (dict "spec" $claim))) }}
{{- end }}
{{- if $tls.runnerMountPath }}
{{- $reference := $tls.certificateFrom.configMapKeyRef }}
{{- $volumes = append $volumes (dict "name" "github-server-tls-cert" "configMap" (dict "name" $reference.name "items" (list (dict "key" $reference.key "path" $reference.key)))) }}
{{- end }}
{{- with $volumes }}
volumes: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
