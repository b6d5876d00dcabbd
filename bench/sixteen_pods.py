#!/usr/bin/env python3
"""Writes the manifest of the lab benchmark: four services of four pods each."""
for number in range(1, 5):
    print(f"""---
apiVersion: v1
kind: Service
metadata: {{name: service-{number}}}
spec:
  selector: {{app: service-{number}}}
  ports: [{{name: http, port: 9080}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: service-{number}}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: service-{number}}}}}
  template:
    metadata: {{labels: {{app: service-{number}}}}}
    spec:
      containers:
      - name: app
        image: fairlead/sample
        ports: [{{containerPort: 9080}}]
        readinessProbe: {{httpGet: {{path: /, port: 9080}}, periodSeconds: 1}}""")
