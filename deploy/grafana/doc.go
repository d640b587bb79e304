// Package grafana holds the dashboard (trailmark.json; import it in Grafana and choose a Prometheus that scrapes the nodes' /metrics), and
// a test that every query in it asks for metrics and labels that exist, and that no metric of ours is left without a panel.
package grafana
