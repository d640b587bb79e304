// Package broker is Trailmark's default MQTT broker: an embedded nats-server (MQTT 3.1.1 on JetStream) with the rules that
// Trailmark needs of one. Any other MQTT 3.1.1 broker may stand in its place if it keeps the same promises:
//
//   - A PUBACK means the message is stored. It survives kill -9 of the broker at once; a power cut may take what came in the
//     last [Config.Sync] (1 s by default; "always" syncs before each PUBACK and costs throughput).
//   - Nothing is acknowledged into the void: nats-server keeps a message only while some session wants it, so [Start] creates
//     the persistent session of every lane itself, before it lets anybody else in. A lane of [Config.Lanes] therefore has a
//     keeper even if no ingest was ever up.
//   - A device publishes on `tm/{its organisation}/{lane}/{its name}` and nowhere else, and subscribes to nothing. It proves
//     its name with a certificate of its organisation's CA (common name = device identifier) or with a token ([Secret]).
//     Rights are derived from the name, so a fleet needs no user list.
//   - Nobody can take over the session of another by using its client identifier.
//
// One limit is nats-server's own: a publish without permission is acknowledged, dropped, and logged.
//
// It imports nothing of Trailmark but provenance.
package broker
