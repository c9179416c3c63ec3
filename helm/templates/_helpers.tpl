{{/* Names, labels and the parts that several pods share. */}}

{{- define "free-parking.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects a component's pods. Call with (list $ "service"). */}}
{{- define "free-parking.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "free-parking.labels" -}}
{{- $root := index . 0 -}}
{{ include "free-parking.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* The image of (list $ "service"): by digest where one is known, by tag otherwise. */}}
{{- define "free-parking.image" -}}
{{- $image := (index . 0).Values.image -}}
{{- $repository := printf "%s-%s" $image.repository (index . 1) -}}
{{- with index $image.digests (index . 1) -}}
{{- printf "%s@%s" $repository . -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (index . 0).Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What pods have that do not talk to Kubernetes: no token. */}}
{{- define "free-parking.pod" -}}
serviceAccountName: {{ include "free-parking.fullname" . }}
automountServiceAccountToken: false
{{ include "free-parking.anyPod" . }}
{{- end -}}

{{/* What every pod has. */}}
{{- define "free-parking.anyPod" -}}
# Kubernetes would set variables such as MLFLOW_PORT, which MLflow reads as its own.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "free-parking.container" -}}
image: {{ include "free-parking.image" . }}
imagePullPolicy: {{ (index . 0).Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Resources with (list .resources .gpus). */}}
{{- define "free-parking.resources" -}}
{{- $resources := deepCopy (index . 0) -}}
{{- with index . 1 -}}
{{- $_ := set $resources.limits "nvidia.com/gpu" . -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "free-parking.mlflow" -}}
{{- default (printf "http://%s-mlflow:5000" (include "free-parking.fullname" .)) .Values.mlflow.address -}}
{{- end -}}

{{- define "free-parking.prefect" -}}
{{- default (printf "http://%s-prefect:4200/api" (include "free-parking.fullname" .)) .Values.prefect.address -}}
{{- end -}}

{{/* Variables of S3: address and keys. */}}
{{- define "free-parking.s3" -}}
{{- with .Values.s3 -}}
- name: AWS_DEFAULT_REGION
  value: {{ .region | quote }}
{{- if .endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ contains "://" .endpoint | ternary .endpoint (printf "https://%s" .endpoint) | quote }}
{{- end }}
{{- if .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .accessKeyKey }}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .secretKeyKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables of PostgreSQL's clients: both psycopg2 and asyncpg read them, so no address holds a password. */}}
{{- define "free-parking.postgresql" -}}
{{- with .Values.postgresql -}}
{{- if .host -}}
- name: PGUSER
  valueFrom:
    secretKeyRef:
      name: {{ required "postgresql.existingSecret: name the Secret with the user and the password of postgresql.host" .existingSecret }}
      key: {{ .usernameKey }}
- name: PGPASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .passwordKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The token that callers of the service show. */}}
{{- define "free-parking.token" -}}
{{- with .Values.service.token -}}
{{- if and $.Values.settings.auth (not .existingSecret) -}}
{{- fail "service.token.existingSecret: name the Secret with the token, or turn settings.auth off" -}}
{{- end -}}
{{- if .existingSecret -}}
- name: PARKING_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What MLflow signs its webhooks with. */}}
{{- define "free-parking.webhook" -}}
{{- with .Values.service.webhook -}}
{{- if .existingSecret -}}
- name: PARKING_WEBHOOK_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables of MLflow's log-in, where one is elsewhere and asks for it. */}}
{{- define "free-parking.login" -}}
{{- with .Values.mlflow -}}
{{- if .existingSecret -}}
{{- if not .address -}}
{{- fail "mlflow.existingSecret: the included MLflow has no log-in; give mlflow.address too" -}}
{{- end -}}
- name: MLFLOW_TRACKING_USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .usernameKey }}
- name: MLFLOW_TRACKING_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret }}
      key: {{ .passwordKey }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables of what runs flows: Prefect, and whatever they read and write. */}}
{{- define "free-parking.flowsEnv" -}}
- name: PREFECT_API_URL
  value: {{ include "free-parking.prefect" . | quote }}
- name: PREFECT_HOME
  value: /state/prefect
- name: PREFECT_LOGGING_LEVEL
  value: INFO
# Libraries count the node's cores, and would share a limit of four among sixty-four threads.
{{- range list "OMP_NUM_THREADS" "PARKING_THREADS" }}
- name: {{ . }}
  valueFrom:
    resourceFieldRef:
      resource: limits.cpu
{{- end }}
{{ include "free-parking.s3" . }}
{{ include "free-parking.postgresql" . }}
{{ include "free-parking.login" . }}
{{- end -}}

{{/* Variables of what runs this project's own code: the settings, S3. */}}
{{- define "free-parking.settings" -}}
envFrom:
  - configMapRef:
      name: {{ include "free-parking.fullname" . }}-settings
{{- end -}}

{{/* Rolls pods when the settings change. */}}
{{- define "free-parking.checksum" -}}
checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
{{- end -}}

{{/* Probes by (list path port). */}}
{{- define "free-parking.get" -}}
httpGet:
  path: {{ index . 0 }}
  port: {{ index . 1 }}
{{- end -}}

{{/* Whether a resource of the Prometheus operator is wanted: (list $ .Values.monitoring.serviceMonitor). */}}
{{- define "free-parking.monitored" -}}
{{- $wanted := index . 1 | toString -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") ((index . 0).Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}
yes
{{- end -}}
{{- end -}}

{{/* A volume that outlives the release: (dict "root" $ "name" "mlflow" "size" "5Gi"). */}}
{{- define "free-parking.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "free-parking.fullname" .root }}-{{ .name }}
  labels: {{- include "free-parking.labels" (list .root .name) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
    argocd.argoproj.io/sync-options: Prune=false,Delete=false
spec:
  accessModes: [ReadWriteOnce]
  {{- with .root.Values.persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size }}
{{- end -}}
