"""Dashboards: described once, written as Grafana's JSON, and drawn as pictures without Grafana."""
