{{- define "arc.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "arc.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "arc.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "arc.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "arc.webhookService" -}}{{ include "arc.fullname" . | trunc 55 }}-webhook{{- end }}
{{- define "arc.metricsService" -}}{{ include "arc.fullname" . | trunc 47 }}-metrics-service{{- end }}
{{- define "arc.servingCert" -}}{{ include "arc.fullname" . }}-serving-cert{{- end }}
{{- define "arc.leaderElection" -}}{{ .Values.leaderElectionId | default "actions-runner-controller" }}{{- end }}
{{- define "arc.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "arc.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- /* 0.23.3 takes a bool where 0.23.7 takes a map with `enable`; a bool makes the later one fail, as in the real chart. */}}
{{- define "arc.serviceMonitor" -}}
{{- if semverCompare "<0.23.5" .Chart.Version }}{{ if .Values.metrics.serviceMonitor }}yes{{ end }}
{{- else }}{{ if .Values.metrics.serviceMonitor.enable }}yes{{ end }}{{ end }}
{{- end }}

{{- /* How the webhooks select the one namespace: by a label that nobody sets before 0.23.5, as in the real chart. */}}
{{- define "arc.namespaceLabel" -}}
{{- if semverCompare "<0.23.5" .Chart.Version }}name{{ else }}kubernetes.io/metadata.name{{ end }}
{{- end }}

{{- define "arc.webhookServer" -}}
{{- if contains .Chart.Name .Release.Name }}{{ printf "%s-github-webhook-server" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s-github-webhook-server" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "arc.webhookServerSelectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 }}
app.kubernetes.io/instance: {{ .Release.Name }}-github-webhook-server
{{- end }}

{{- define "arc.webhookServerLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "arc.webhookServerSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
