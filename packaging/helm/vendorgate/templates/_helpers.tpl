{{- define "vendorgate.name" -}}
{{- default .Release.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "vendorgate.selector" -}}
app.kubernetes.io/name: vendorgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vendorgate.labels" -}}
{{ include "vendorgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "vendorgate.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* The main file: what the chart knows, under what the user wrote. */ -}}
{{- define "vendorgate.config" -}}
{{- $listeners := dict -}}
{{- if .Values.ingress.enabled -}}
{{- $ingress := dict "bind" (printf "0.0.0.0:%d" (int .Values.ingress.port)) -}}
{{- if .Values.ingress.tls.secretName -}}
{{- $_ := set $ingress "tls" (dict "cert" "tls/ingress/tls.crt" "key" "tls/ingress/tls.key") -}}
{{- end -}}
{{- $_ := set $listeners "ingress" $ingress -}}
{{- end -}}
{{- if .Values.egress.enabled -}}
{{- $egress := dict "bind" (printf "0.0.0.0:%d" (int .Values.egress.port)) -}}
{{- if .Values.egress.anonymous -}}{{- $_ := set $egress "anonymous" true -}}{{- end -}}
{{- $_ := set $listeners "egress" $egress -}}
{{- end -}}
{{- $admin := dict "bind" (printf "0.0.0.0:%d" (int .Values.admin.port)) -}}
{{- if .Values.admin.operators.secretName -}}{{- $_ := set $admin "operators" "operators/operators.yaml" -}}{{- end -}}
{{- if .Values.admin.tls.secretName -}}
{{- $_ := set $admin "tls" (dict "cert" "tls/admin/tls.crt" "key" "tls/admin/tls.key") -}}
{{- end -}}
{{- $_ := set $listeners "admin" $admin -}}
{{- $config := dict "listeners" $listeners "state" (dict "path" "/var/lib/vendorgate") "contracts" "contracts/" -}}
{{- if .Values.masterKey.secretName -}}{{- $_ := set $config "keys" (dict "master" "keys/master.key") -}}{{- end -}}
{{- if .Values.valkey.enabled -}}
{{- $_ := set $config "fleet" (dict "redis" (printf "redis://%s-valkey:6379" (include "vendorgate.name" .)) "name" (include "vendorgate.name" .)) -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy .Values.config) | toYaml -}}
{{- end -}}
