package command

import (
	"context"
	"encoding/json"

	"github.com/trailmark/trailmark/analytics/eval/milk"
	"github.com/trailmark/trailmark/analytics/eval/nab"
	"github.com/trailmark/trailmark/analytics/eval/skab"
)

type evalCommand struct {
	NAB  evalNAB  `cmd:"" name:"nab" help:"Numenta Anomaly Benchmark: data/, labels/combined_windows.json."`
	SKAB evalSKAB `cmd:"" name:"skab" help:"Skoltech Anomaly Benchmark: data/{valve1,valve2,other,anomaly-free}/*.csv."`
	Milk evalMilk `cmd:"" name:"milk" help:"Plate counts predicted from logger traces: SEASON-share-table.csv, SEASON-refrigerated.csv, SEASON-plate-counts.csv."`
}

// benchmark is where a public data set lies and how its score is printed.
type benchmark struct {
	Dir  string `help:"Folder of the data set, in its public layout." required:"" type:"existingdir"`
	JSON bool   `help:"Print one JSON object as the last line."`
}

func (b benchmark) last(to console, score any) error {
	if !b.JSON {
		return nil
	}
	text, err := json.Marshal(score)
	to.print("%s", text)
	return err
}

type evalNAB struct{ benchmark }

// Run scores the corpus.
func (c *evalNAB) Run(ctx context.Context, to console) error {
	r, err := nab.Run(ctx, c.Dir, nab.Options{})
	if err != nil {
		return err
	}
	for _, name := range r.Unlabelled {
		to.say("not scored, for the labels do not name it: %s", name)
	}
	for _, category := range r.Categories {
		to.print("%-32s %7.2f", category.Name, category.Standard)
	}
	to.print("%d files, %d windows: standard %.2f, reward low FP %.2f, reward low FN %.2f", len(r.Files), r.Windows, r.Standard, r.RewardLowFP, r.RewardLowFN)
	return c.last(to, map[string]float64{"standard": r.Standard, "rewardLowFP": r.RewardLowFP, "rewardLowFN": r.RewardLowFN})
}

type evalSKAB struct{ benchmark }

// Run scores the series.
func (c *evalSKAB) Run(ctx context.Context, to console) error {
	r, err := skab.Run(ctx, c.Dir, skab.Options{})
	if err != nil {
		return err
	}
	to.print("F1 %.3f, false alarms %.2f %%, missed %.2f %%", r.F1(), 100*r.FAR(), 100*r.MAR())
	return c.last(to, map[string]float64{"f1": r.F1(), "far": 100 * r.FAR(), "mar": 100 * r.MAR()}) // rates in percent, as its leaderboard has them
}

type evalMilk struct{ benchmark }

// Run scores the seasons.
func (c *evalMilk) Run(ctx context.Context, to console) error {
	r, err := milk.Run(ctx, c.Dir, milk.Options{})
	if err != nil {
		return err
	}
	to.print("%d counts: RMSE %.3f log10, bias %+.3f, %.0f %% within the 90 %% interval", r.N, r.RMSE, r.Bias, 100*r.Coverage90)
	return c.last(to, r.Score)
}
