package spoilage

import (
	"fmt"
	"math"

	"github.com/trailmark/trailmark/analytics/kernel"
)

// sentence says in plain words what was found; it uses nothing but the facts, so a recomputed one is the same text.
func (s *Scorer) sentence(kind Kind, device string, facts map[string]int64) string {
	switch kind {
	case BandExcursion:
		return fmt.Sprintf("Out of band for %s (%s in all, %s at once and %s in all are allowed): %s at %s, band %s to %s.",
			minutes(facts["minutesOut"]), minutes(facts["minutesOutInAll"]),
			minutes(int64(s.profile.Band.ConsecutiveMinutes)*kernel.Micro), minutes(int64(s.profile.Band.CumulativeMinutes)*kernel.Micro),
			celsius(facts["extremeTemperature"]), device, celsius(s.profile.Band.Low), celsius(s.profile.Band.High))
	case ExcursionForecast:
		return fmt.Sprintf("At this rate out of band in %s: %s is at %s and moves %+.1f °C an hour, beyond its usual %s to %s.",
			minutes(facts["minutesLeft"]), device, celsius(facts["temperature"]), kernel.FromMicro(facts["degreesPerHour"]),
			celsius(facts["usualLow"]), celsius(facts["usualHigh"]))
	case SpoilagePredicted:
		return fmt.Sprintf("%s, 80 %% between %s and %s, at the pace of the last day; %d %% likely within %d h. %s",
			spoiledIn(facts["hoursLeft"]), span(facts["hoursLeftLow"]), span(facts["hoursLeftHigh"]),
			(facts["probability"]+kernel.Micro/200)/(kernel.Micro/100), SpoilageHorizonHours, s.state(device, facts))
	case Anomaly:
		return fmt.Sprintf("%s behaves unlike normal transport: its last hour, %s to %s about a usual %s, is %.1f times as hard to explain as the limit that normal sensors cross on %.1f %% of days.",
			device, celsius(facts["lowest"]), celsius(facts["highest"]), celsius(facts["baseline"]),
			float64(facts["error"])/float64(max(1, facts["threshold"])), float64(facts["falseAlarms"])/(kernel.Micro/100))
	}
	return ""
}

func (s *Scorer) state(device string, facts map[string]int64) string {
	if s.profile.Growth != nil {
		return fmt.Sprintf("At %s the count is put at %.1f log10 CFU/mL now (90 %% between %.1f and %.1f), %.1f is spoiled; the sensor reads %s.",
			device, kernel.FromMicro(facts["count"]), kernel.FromMicro(facts["countLow"]), kernel.FromMicro(facts["countHigh"]),
			kernel.FromMicro(s.profile.Growth.SpoiledAt), celsius(facts["temperature"]))
	}
	text := fmt.Sprintf("At %s %.0f %% of the life is used (90 %% between %.0f and %.0f); the sensor reads %s",
		device, 100*kernel.FromMicro(facts["lifeUsed"]), 100*kernel.FromMicro(facts["lifeUsedLow"]),
		100*kernel.FromMicro(facts["lifeUsedHigh"]), celsius(facts["temperature"]))
	if kinetic, ok := facts["meanKineticTemperature"]; ok {
		text += fmt.Sprintf(", mean kinetic temperature %s", celsius(kinetic))
	}
	return text + "."
}

func spoiledIn(hours int64) string {
	if hours <= 0 {
		return "Probably spoiled already"
	}
	return "Spoiled in " + span(hours)
}

func celsius(micro int64) string { return fmt.Sprintf("%.1f °C", kernel.FromMicro(micro)) }

func minutes(micro int64) string {
	m := int64(math.Round(kernel.FromMicro(micro)))
	if m < 180 {
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d h %d min", m/60, m%60)
}

func span(hours int64) string {
	h := kernel.FromMicro(hours)
	if h >= 96 {
		return fmt.Sprintf("%.1f days", h/24)
	}
	return fmt.Sprintf("%.0f h", h)
}
