{{- define "cm.namespace" -}}{{ .Values.namespace | default .Release.Namespace }}{{- end }}

{{- /* Takes a dict of root, component (controller | webhook | cainjector | startupapicheck) and name. */}}
{{- define "cm.selectorLabels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "cm.labels" -}}
app: {{ .name }}
{{ include "cm.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Before v1.15 only `installCRDs` existed, and nothing kept the definitions from being deleted. */}}
{{- define "cm.crds" -}}
{{- if semverCompare ">=1.15.0-0" .Chart.Version }}
{{- if or .Values.crds.enabled .Values.installCRDs }}{{ ternary "keep" "yes" (.Values.crds.keep | default false) }}{{ end }}
{{- else if .Values.installCRDs }}yes{{ end }}
{{- end }}
