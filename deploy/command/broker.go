package command

import (
	"context"
	"log/slog"

	"github.com/trailmark/trailmark/deploy/broker"
)

type brokerCommand struct {
	broker.Config
}

// Help is shown by --help.
func (brokerCommand) Help() string {
	return `Example:
  trailmark broker --dir store --lanes CarrierMSP=8 --tls-cert broker.crt --tls-key broker.key --client-ca CarrierMSP=carrier-ca.pem

MQTT 3.1.1 on JetStream. A device publishes only on its own topics; a message is acknowledged when it is stored.`
}

// Run runs the broker until the program is told to stop.
func (c *brokerCommand) Run(ctx context.Context, log *slog.Logger) error {
	return broker.Run(ctx, c.Config, broker.Options{Log: log})
}
