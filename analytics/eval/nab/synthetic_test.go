package nab

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// synthetic makes streams of the kinds of the corpus that are not at hand (cloud metrics, advertising, traffic, tweets),
// to see that a detector does not drown in their ordinary spikes. Nothing in them is taken from the corpus; the
// anomalies are events of a kind the stream does not have otherwise, in windows cut as NAB cuts them: together a tenth
// of the series, each centred on where its anomaly starts.
func synthetic(seed uint64, each int) []Series {
	r := rand.New(rand.NewPCG(seed, 7))
	var list []Series
	for i := range each {
		for _, kind := range []struct {
			name string
			rows int
			step time.Duration
			make func(r *rand.Rand, s *Series, at []int)
		}{
			{"cpu", 4032, 5 * time.Minute, cpu},
			{"cpu2", 4032, 5 * time.Minute, cpu},
			{"network", 4032, 5 * time.Minute, network},
			{"adexchange", 1600, time.Hour, adexchange},
			{"traffic", 2400, 8 * time.Minute, traffic},
			{"tweets", 15900, 5 * time.Minute, tweets},
		} {
			s := Series{Name: fmt.Sprintf("%s/%d.csv", kind.name, i)}
			t := time.Date(2014, 4, 1, 0, 4, 0, 0, time.UTC)
			for range kind.rows {
				s.Times = append(s.Times, t)
				s.Values = append(s.Values, 0)
				step := kind.step
				if kind.name == "traffic" { // detectors there report at odd times and fall silent
					step = time.Duration(5+r.IntN(8)) * time.Minute
					if r.IntN(200) == 0 {
						step = time.Duration(1+r.IntN(9)) * time.Hour
					}
				}
				t = t.Add(step)
			}
			n := 1 + r.IntN(3)
			if kind.name == "tweets" {
				n = 2 + r.IntN(3)
			}
			half := kind.rows / 20 / n
			var at []int
			for j := range n {
				span := (kind.rows*8/10 - half) / n
				at = append(at, kind.rows*2/10+j*span+half+r.IntN(max(1, span-2*half-1)))
			}
			kind.make(r, &s, at)
			for _, a := range at {
				s.Windows = append(s.Windows, Window{First: max(0, a-half), Last: min(kind.rows-1, a+half)})
			}
			list = append(list, s)
		}
	}
	return list
}

func pareto(r *rand.Rand, shape float64) float64 { return math.Pow(1-r.Float64(), -1/shape) }

func cpu(r *rand.Rand, s *Series, at []int) {
	base, noise, ar := 5+60*r.Float64(), 0.3+3*r.Float64(), 0.6*r.Float64()
	every, spike := 40+r.IntN(300), 5*r.Float64()*noise
	periodic := r.IntN(2) == 0
	next, x := r.IntN(every), 0.0
	kind := make([]int, len(at))
	for j := range kind {
		kind[j] = r.IntN(4)
	}
	level := 0.0
	for i := range s.Values {
		x = ar*x + noise*r.NormFloat64()
		v := base + x
		if i == next {
			v += spike * (0.7 + 0.3*pareto(r, 4))
			next += every
			if !periodic {
				next = i + 1 + int(r.ExpFloat64()*float64(every))
			}
		}
		for j, a := range at {
			long := 100 + 60*j
			switch {
			case kind[j] == 0 && i == a:
				level += (4 + 6*r.Float64()) * noise * float64(2*r.IntN(2)-1)
			case kind[j] == 1 && i >= a && i < a+3:
				v += 2.5*spike + 8*noise
			case kind[j] == 2 && i >= a && i < a+long/4:
				v = 0.3*v + 0.1*noise
			case kind[j] == 3 && i >= a && i < a+long:
				v += 4 * noise * r.NormFloat64()
			}
		}
		s.Values[i] = max(0, v+level)
	}
}

func network(r *rand.Rand, s *Series, at []int) {
	scale, sigma := math.Exp(5+8*r.Float64()), 0.2+0.5*r.Float64()
	for i := range s.Values {
		v := scale * math.Exp(sigma*r.NormFloat64())
		if r.IntN(90) == 0 {
			v *= 1 + 2*pareto(r, 3)
		}
		for _, a := range at {
			if i >= a && i < a+4 {
				v *= 12
			}
		}
		s.Values[i] = math.Round(v)
	}
}

func adexchange(r *rand.Rand, s *Series, at []int) {
	sigma := 0.15 + 0.3*r.Float64()
	for i, t := range s.Times {
		v := math.Exp(0.2*math.Sin(float64(t.Hour())/24*2*math.Pi) + sigma*r.NormFloat64())
		if r.IntN(150) == 0 {
			v *= 1.5 + 0.5*pareto(r, 3)
		}
		for j, a := range at {
			if i == a || j%2 == 1 && i > a && i < a+6 {
				v *= 5 + 3*r.Float64()
			}
		}
		s.Values[i] = v
	}
}

func traffic(r *rand.Rand, s *Series, at []int) {
	jam := 0.0
	for i, t := range s.Times {
		h := float64(t.Hour()) + float64(t.Minute())/60
		rush := 12*math.Exp(-(h-8)*(h-8)/2) + 16*math.Exp(-(h-17.5)*(h-17.5)/3)
		if wd := t.Weekday(); wd == time.Saturday || wd == time.Sunday {
			rush /= 4
		}
		if r.IntN(120) == 0 {
			jam = 10 * pareto(r, 4)
		}
		jam *= 0.8
		v := 70 - rush*(0.7+0.6*r.Float64()) - jam + 2.5*r.NormFloat64()
		for _, a := range at {
			if i >= a && i < a+8 {
				v -= 38
			}
		}
		s.Values[i] = math.Round(max(2, v))
	}
}

func tweets(r *rand.Rand, s *Series, at []int) {
	rate, burst := 3+30*r.Float64(), 0.0
	for i, t := range s.Times {
		h := float64(t.Hour()) + float64(t.Minute())/60
		v := rate * (1 + 0.7*math.Sin((h-9)/24*2*math.Pi)) * math.Exp(0.35*r.NormFloat64())
		if r.IntN(500) == 0 {
			burst += rate * (0.5 + pareto(r, 2.2))
		}
		for _, a := range at {
			if i == a {
				burst += rate * (25 + 40*r.Float64())
			}
		}
		burst *= 0.85
		s.Values[i] = math.Round(v + burst*(0.8+0.4*r.Float64()))
	}
}
