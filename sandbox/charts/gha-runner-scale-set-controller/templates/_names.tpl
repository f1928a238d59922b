{{- define "controller.name" -}}{{ default "gha-rs-controller" .Values.nameOverride | trunc 63 | trimSuffix "-" }}{{- end }}
{{- define "controller.namespace" -}}{{ default .Release.Namespace .Values.namespaceOverride }}{{- end }}

{{- define "controller.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default "gha-rs-controller" .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "controller.selectorLabels" -}}
app.kubernetes.io/name: {{ include "controller.name" . }}
app.kubernetes.io/namespace: {{ .Release.Namespace }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "controller.labels" -}}
helm.sh/chart: {{ printf "gha-rs-controller-%s" .Chart.Version | replace "+" "_" }}
{{ include "controller.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: gha-rs-controller
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "controller.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "controller.fullname" .) .Values.serviceAccount.name }}
{{- else if eq (default "default" .Values.serviceAccount.name) "default" }}{{ fail "serviceAccount.name cannot be set to 'default'" }}
{{- else }}{{ .Values.serviceAccount.name }}{{ end }}
{{- end }}
