package spoilage

import "time"

// Kind names what was found.
type Kind string

// The kinds of findings.
const (
	BandExcursion     Kind = "band-excursion"     // out of band for longer than the profile allows
	ExcursionForecast Kind = "excursion-forecast" // will leave the band soon, at this rate
	SpoilagePredicted Kind = "spoilage-predicted" // will spoil within SpoilageHorizonHours with SpoilageProbability or more
	Anomaly           Kind = "anomaly"            // behaves unlike normal transport
)

// Kinds lists them in the order Assess reports them: the gravest first.
func Kinds() []Kind { return []Kind{SpoilagePredicted, BandExcursion, ExcursionForecast, Anomaly} }

// The constants of the rules, the same for every shipment and every trace.
const (
	// SpoilageHorizonHours and SpoilageProbability (millionths) say when spoilage is predicted: the true count reaches the
	// profile's limit within the horizon, at the pace of the last day, with at least this probability: more likely than not within
	// two days. On the measured milk this leaves 40 h (share table) and 15 h (refrigerated) before the plate counts cross
	// 6.0 log10, though that milk grew faster than predicted; with 36 h the latter is 4 h, with 24 h it comes too late.
	SpoilageHorizonHours = 48
	SpoilageProbability  = 500_000
	// ForecastMinutes is how far ahead an excursion is forecast.
	ForecastMinutes = 40
	// LifeInterval is the probability of the interval given with a remaining life.
	LifeInterval = 0.8
)

// Finding is one incident as it stands. Its identity is (Kind, From): From does not move while an incident goes on, so one
// incident is one alert.
type Finding struct {
	Kind   Kind
	Device string // the device on which it is gravest
	// Score is in millionths, 0 to 1 000 000. For spoilage and forecast it is a probability; for an excursion out/(out+allowed)
	// and for an anomaly error/(error+threshold), so that 500 000 is the limit.
	Score    int64
	From, To time.Time // what the finding rests on: from the start of the incident to the last reading in it
	Open     bool      // whether it still goes on at the last reading
	Sentence string
	// Drivers are the numbers behind the sentence. Temperatures, hours, counts (log10), probabilities and minutes alike are
	// in millionths of their unit.
	Drivers map[string]int64
}

// Reading is one measured temperature in millionths of a degree Celsius.
type Reading struct {
	Device      string
	Time        time.Time
	Temperature int64
}
