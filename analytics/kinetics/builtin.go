package kinetics

// Milk is pasteurised milk with Pseudomonas, combined from published values and the one season we have measured.
//
// Prior (published, Pseudomonas poae in milk): ln rate 0.0835/h at 6 °C, Tmin −4.15 °C, no lag, Nmax 8.14 log10. Published
// growth rates are good to 5 to 10 % (PMC4393428, on ComBase); we take the prior's error for our milk and the scatter from
// season to season as two independent normals of equal spread, 0.09 in ln rate and 0.57 °C in Tmin: with one season seen,
// nothing tells the two apart. The winter counts put that season at 0.115/h and −5.3 °C (posterior mean under the sum of
// both). A season not seen shares the error but not the scatter, so its expectation lies half way: 0.0981/h, Tmin −4.7 °C,
// with a spread of √(3/2) times the single one: 0.11 and 0.7 °C. TestMilkProfileFollowsFromPriorAndWinter repeats the
// estimate from the data.
//
// Tmax 36 °C is the usual limit of the P. fluorescens group; it does not matter below 26 °C.
var Milk = Profile{
	ID: "milk-pasteurised", Version: 1, Name: "Pasteurised milk, chilled", Kind: Food,
	Source: "Pseudomonas poae: 0.0835 ln/h at 6 °C, Tmin -4.15 °C, Nmax 8.14 (published), combined half and half with the winter counts of " +
		"Pinto et al., J. Dairy Sci. 107:2733",
	Band: Band{Low: -500_000, High: 7_200_000, ConsecutiveMinutes: 120, CumulativeMinutes: 240}, Storage: 4_000_000,
	Growth: &Growth{
		ReferenceRate: 98_100, ReferenceTemperature: 6_000_000, RateSpread: 110_000,
		MinimumTemperature: -4_700_000, MinimumSpread: 700_000, MaximumTemperature: 36_000_000,
		MaximumCount: 8_140_000, MaximumSpread: 300_000,
		InitialCount: 2_000_000, InitialSpread: 100_000, MeasurementSpread: 150_000, DetectionLimit: 2_310_000, SpoiledAt: 6_000_000,
	},
}

// ReadyToEatSeafood follows Listeria monocytogenes; its limit is 100 CFU/g (Regulation (EC) 2073/2005).
var ReadyToEatSeafood = Profile{
	ID: "seafood-ready-to-eat", Version: 1, Name: "Ready-to-eat seafood, chilled", Kind: Food,
	Source: "Listeria monocytogenes: 0.419 ln/h at 25 °C, Tmin -2.83 °C (published); spreads are our judgement",
	Band:   Band{Low: -1_000_000, High: 5_000_000, ConsecutiveMinutes: 60, CumulativeMinutes: 240}, Storage: 3_000_000,
	Growth: &Growth{
		ReferenceRate: 419_000, ReferenceTemperature: 25_000_000, RateSpread: 250_000,
		MinimumTemperature: -2_830_000, MinimumSpread: 700_000, MaximumTemperature: 45_000_000, LagWork: 1_500_000,
		MaximumCount: 8_000_000, MaximumSpread: 500_000,
		InitialCount: 0, InitialSpread: 300_000, MeasurementSpread: 250_000, DetectionLimit: -1_000_000, SpoiledAt: 2_000_000,
	},
}

// ChilledFood is for chilled food of which no more is known: Pseudomonas with wide spreads.
var ChilledFood = Profile{
	ID: "food-chilled", Version: 1, Name: "Chilled food", Kind: Food,
	Source: "Pseudomonas as in milk, with wider spreads for want of a product's own",
	Band:   Band{Low: -1_000_000, High: 7_000_000, ConsecutiveMinutes: 60, CumulativeMinutes: 240}, Storage: 4_000_000,
	Growth: &Growth{
		ReferenceRate: 90_000, ReferenceTemperature: 6_000_000, RateSpread: 300_000,
		MinimumTemperature: -5_000_000, MinimumSpread: 1_500_000, MaximumTemperature: 36_000_000,
		MaximumCount: 8_500_000, MaximumSpread: 500_000,
		InitialCount: 3_000_000, InitialSpread: 500_000, MeasurementSpread: 250_000, DetectionLimit: 1_000_000, SpoiledAt: 7_000_000,
	},
}

// The mean kinetic temperature's activation energy by USP's convention.
const uspEnergy = 83_144

// Pharma2To8 is a refrigerated medicine.
var Pharma2To8 = Profile{
	ID: "pharma-2-8", Version: 1, Name: "Refrigerated medicine, 2 to 8 °C", Kind: Medicine,
	Source: "USP <1079.2>: mean kinetic temperature at most 8 °C over 24 h, ΔH 83.144 kJ/mol; life of 24 months at 5 °C assumed",
	Band:   Band{Low: 2_000_000, High: 8_000_000, ConsecutiveMinutes: 30, CumulativeMinutes: 120}, Storage: 5_000_000,
	Degradation: &Degradation{
		ActivationEnergy: uspEnergy, EnergySpread: 8_000, ReferenceTemperature: 5_000_000, LifeHours: 17_520, RateSpread: 150_000,
		MeanKineticWindowHours: 24, MeanKineticLimit: 8_000_000,
	},
}

// Pharma15To25 is a medicine at controlled room temperature.
var Pharma15To25 = Profile{
	ID: "pharma-15-25", Version: 1, Name: "Medicine at controlled room temperature", Kind: Medicine,
	Source: "USP <1079.2>: mean kinetic temperature at most 25 °C over 30 days, ΔH 83.144 kJ/mol; life of 36 months at 25 °C assumed",
	Band:   Band{Low: 15_000_000, High: 25_000_000, ConsecutiveMinutes: 240, CumulativeMinutes: 1440}, Storage: 20_000_000,
	Degradation: &Degradation{
		ActivationEnergy: uspEnergy, EnergySpread: 8_000, ReferenceTemperature: 25_000_000, LifeHours: 26_280, RateSpread: 150_000,
		MeanKineticWindowHours: 720, MeanKineticLimit: 25_000_000,
	},
}

// vaccine makes a profile of a WHO vaccine vial monitor category from its life at 37 °C and the activation energy that its
// second published point implies.
func vaccine(id, name, source string, lifeHours, energy int64) Profile {
	return Profile{
		ID: id, Version: 1, Name: name, Kind: Vaccine, Source: source,
		Band: Band{Low: 2_000_000, High: 8_000_000, ConsecutiveMinutes: 30, CumulativeMinutes: 240}, Storage: 5_000_000,
		Degradation: &Degradation{
			ActivationEnergy: energy, EnergySpread: 4_000, ReferenceTemperature: 37_000_000, LifeHours: lifeHours, RateSpread: 100_000,
			MeanKineticWindowHours: 24, MeanKineticLimit: 8_000_000,
		},
	}
}

// Builtin returns the profiles that come with this build, in a fixed order. A shipment's own profile, from the ledger, comes
// before these.
func Builtin() []Profile {
	return []Profile{
		Milk, ReadyToEatSeafood, ChilledFood, Pharma2To8, Pharma15To25,
		vaccine("vaccine-vvm30", "Vaccine, VVM30", "WHO VVM30: 30 d at 37 °C, 193 d at 25 °C", 30*24, 119_260),
		vaccine("vaccine-vvm14", "Vaccine, VVM14", "WHO VVM14: 14 d at 37 °C, 90 d at 25 °C", 14*24, 119_230),
		vaccine("vaccine-vvm7", "Vaccine, VVM7", "WHO VVM7: 7 d at 37 °C, 45 d at 25 °C", 7*24, 119_230),
		vaccine("vaccine-vvm2", "Vaccine, VVM2", "WHO VVM2: 2 d at 37 °C, 225 d at 5 °C", 2*24, 105_860),
	}
}

// ByID returns the builtin profile of that id.
func ByID(id string) (Profile, bool) {
	for _, p := range Builtin() {
		if p.ID == id {
			return p, true
		}
	}
	return Profile{}, false
}
