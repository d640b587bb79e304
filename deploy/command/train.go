package command

import (
	"context"
	"fmt"
	"os"

	"github.com/trailmark/trailmark/analytics/autoencoder"
)

type trainCommand struct {
	Out    string `short:"o" help:"File to write the model to." default:"model.bin" type:"path"`
	Seed   uint64 `help:"Seed of the generated transports and of the weights." default:"1"`
	Epochs int    `help:"Passes over the training windows (default: as the built-in model)."`
}

// Help is shown by --help.
func (trainCommand) Help() string {
	return `Example:
  trailmark train -o model.bin && trailmark node --analytics-model model.bin …

Generates normal refrigerated transport (compressor cycles, defrosts, doors, ambient), trains the autoencoder on it with Gorgonia, sets its threshold on held-back days at a stated false-alarm rate, and reports what it finds of each fault on held-back transports. The same seed gives the same model.`
}

// Run trains.
func (c *trainCommand) Run(ctx context.Context, to console) error {
	config := autoencoder.DefaultConfig()
	config.Seed = c.Seed
	if c.Epochs > 0 {
		config.Epochs = c.Epochs
	}
	model, report, err := autoencoder.Train(ctx, config, func(p autoencoder.Progress) {
		to.say("· epoch %d of %d: mean squared error %.5f", p.Epoch, p.Epochs, p.Loss)
	})
	if err != nil {
		return err
	}
	encoded := model.Encode()
	if err := os.WriteFile(c.Out, encoded, 0o644); err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	to.say("Trained on %d windows; threshold %.3f, crossed on %.1f %% of held-back normal sensor-days (%.1f %% promised).",
		report.Windows, float64(report.Threshold)/1e6, 100*report.FalseAlarms, float64(model.FalseAlarms())/1e4)
	for _, f := range report.Faults {
		to.say("  %-20s found within a day: %3.0f %%, half of those within %d min", f.Fault, 100*f.Found, f.MedianMinutes)
	}
	to.print("%x  %s  (%d bytes)", model.Hash(), c.Out, len(encoded))
	return nil
}
