{{- define "set.name" -}}{{ .Values.runnerScaleSetName | default .Release.Name | replace "_" "-" | trimSuffix "-" }}{{- end }}
{{- define "set.namespace" -}}{{ default .Release.Namespace .Values.namespaceOverride }}{{- end }}
{{- define "set.fullname" -}}{{ printf "%s-%s" (include "set.name" .) "gha-rs" | trunc 63 | trimSuffix "-" }}{{- end }}

{{- define "set.labels" -}}
helm.sh/chart: {{ printf "gha-rs-%s" .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "set.name" . }}
app.kubernetes.io/instance: {{ include "set.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: gha-rs
actions.github.com/scale-set-name: {{ include "set.name" . }}
actions.github.com/scale-set-namespace: {{ include "set.namespace" . }}
{{- range $key, $value := .Values.labels }}
{{- if not (or (hasPrefix "actions.github.com/" $key) (hasPrefix "app.kubernetes.io/" $key) (hasPrefix "helm.sh/" $key)) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What `resourceMeta` says of an object: a list of the context, the object's key, and which of both. */}}
{{- define "set.meta" -}}
{{- $root := index . 0 }}
{{- $own := get (default dict $root.Values.resourceMeta) (index . 1) | default dict }}
{{- range $key, $value := get $own (index . 2) | default dict }}
{{- if not (or (hasPrefix "actions.github.com/" $key) (has $key (list "helm.sh/chart" "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/managed-by" "app.kubernetes.io/name" "app.kubernetes.io/part-of" "app.kubernetes.io/version"))) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "set.secret" -}}
{{- if kindIs "string" .Values.githubConfigSecret }}
{{- if not (empty .Values.githubConfigSecret) }}{{ .Values.githubConfigSecret }}{{ else }}{{ fail "Values.githubConfigSecret is required for setting auth with GitHub server." }}{{ end }}
{{- else }}{{ include "set.fullname" . }}-github-secret{{ end }}
{{- end }}

{{- define "set.isKubernetes" -}}{{ if has (.Values.containerMode | default dict).type (list "kubernetes" "kubernetes-novolume") }}yes{{ end }}{{- end }}

{{- define "set.serviceAccount" -}}
{{- if .Values.template.spec.serviceAccountName }}{{ .Values.template.spec.serviceAccountName }}
{{- else if include "set.isKubernetes" . }}{{ include "set.fullname" . }}-kube-mode
{{- else }}{{ include "set.fullname" . }}-no-permission{{ end }}
{{- end }}

{{- /* The controller's service account, as JSON: given, or looked for among all Deployments of the cluster. */}}
{{- define "set.controller" -}}
{{- $given := .Values.controllerServiceAccount | default dict }}
{{- if and $given.name $given.namespace }}
{{- dict "name" $given.name "namespace" $given.namespace | toJson }}
{{- else }}
{{- $found := list }}
{{- $single := list }}
{{- range $deployment := (lookup "apps/v1" "Deployment" "" "").items }}
{{- $labels := $deployment.metadata.labels | default dict }}
{{- if eq (get $labels "app.kubernetes.io/part-of" | default "") "gha-rs-controller" }}
{{- $account := dict "name" (get $labels "actions.github.com/controller-service-account-name") "namespace" $deployment.metadata.namespace }}
{{- if hasKey $labels "actions.github.com/controller-watch-single-namespace" }}{{ $single = append $single $account }}
{{- else }}{{ $found = append $found $account }}{{ end }}
{{- end }}
{{- end }}
{{- if and (gt (len $found) 0) (gt (len $single) 0) }}{{ fail "Found both gha-rs-controller installed with flags.watchSingleNamespace set and unset in cluster, this is not supported. Consider setting controllerServiceAccount.name in values.yaml to be explicit if you think the discovery is wrong." }}{{ end }}
{{- if gt (len $found) 1 }}{{ fail "More than one gha-rs-controller deployment found using label (app.kubernetes.io/part-of=gha-rs-controller). Consider setting controllerServiceAccount.name in values.yaml to be explicit if you think the discovery is wrong." }}{{ end }}
{{- if eq (len $found) 0 }}{{ fail "No gha-rs-controller deployment found using label (app.kubernetes.io/part-of=gha-rs-controller). Consider setting controllerServiceAccount.name in values.yaml to be explicit if you think the discovery is wrong." }}{{ end }}
{{- index $found 0 | toJson }}
{{- end }}
{{- end }}
