package epcis

import "strings"

// A vocabulary is one closed list of the Core Business Vocabulary and the three ways CBV 2.0 writes its words:
// bare in JSON-LD, as a URN in XML, and as a web URI.
type vocabulary struct {
	rule   string
	urn    string // "urn:epcglobal:cbv:bizstep:", or "" where there is none
	web    string // "https://ref.gs1.org/cbv/BizStep-"
	curie  string // "cbv:BizStep-"
	closed bool   // no words but these may follow web, curie and urn
	words  map[string]bool
}

const (
	cbvWeb       = "https://ref.gs1.org/cbv/"
	gs1Voc       = "https://gs1.org/voc/"     // what CBV 2.0 calls the GS1 web vocabulary
	gs1VocLater  = "https://ref.gs1.org/voc/" // and CBV 2.1
	digitalLinks = "https://id.gs1.org"
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(s) {
		set[w] = true
	}
	return set
}

// The lists are CBV 2.0's, with the words that documents of the 2.1 draft already use: notifying and
// subject_to_regulation.
var (
	bizSteps = &vocabulary{
		rule: "cbv/bizStep", urn: "urn:epcglobal:cbv:bizstep:", web: cbvWeb + "BizStep-", curie: "cbv:BizStep-", closed: true,
		words: words(`accepting arriving assembling collecting commissioning consigning creating_class_instance
			cycle_counting decommissioning departing destroying disassembling dispensing encoding entering_exiting
			holding inspecting installing killing loading notifying other packing picking receiving removing repackaging
			repairing replacing reserving retail_selling sampling sensor_reporting shipping staging_outbound
			stock_taking stocking storing transporting unloading unpacking void_shipping`),
	}
	dispositions = &vocabulary{
		rule: "cbv/disposition", urn: "urn:epcglobal:cbv:disp:", web: cbvWeb + "Disp-", curie: "cbv:Disp-", closed: true,
		words: words(`active available completeness_inferred completeness_verified conformant container_closed
			container_open damaged destroyed dispensed disposed encoded expired in_progress in_transit inactive
			mismatch_class mismatch_instance mismatch_quantity needs_replacement no_pedigree_match non_conformant
			non_sellable_other partially_dispensed recalled reserved retail_sold returned sellable_accessible
			sellable_not_accessible stolen subject_to_regulation unavailable unknown`),
	}
	transactionTypes = &vocabulary{
		rule: "cbv/bizTransactionType", urn: "urn:epcglobal:cbv:btt:", web: cbvWeb + "BTT-", curie: "cbv:BTT-", closed: true,
		words: words(`bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt`),
	}
	partyTypes = &vocabulary{
		rule: "cbv/sourceDestType", urn: "urn:epcglobal:cbv:sdt:", web: cbvWeb + "SDT-", curie: "cbv:SDT-", closed: true,
		words: words(`location owning_party possessing_party`),
	}
	errorReasons = &vocabulary{
		rule: "cbv/errorReason", urn: "urn:epcglobal:cbv:er:", web: cbvWeb + "ER-", curie: "cbv:ER-", closed: true,
		words: words(`did_not_occur incorrect_data`),
	}
	components = &vocabulary{
		rule: "cbv/component", urn: "urn:epcglobal:cbv:comp:", web: cbvWeb + "Comp-", curie: "cbv:Comp-", closed: true,
		words: words(`altitude axial_distance azimuth easting elevation_angle geocoordinate height latitude longitude
			northing polar_angle spherical_radius x y z`),
	}
	sensorExceptions = &vocabulary{
		rule: "cbv/sensorAlertType", web: gs1Voc, curie: "gs1:",
		words: words(`ALARM_CONDITION ERROR_CONDITION`),
	}
	measurementTypes = &vocabulary{
		rule: "cbv/measurementType", web: gs1Voc, curie: "gs1:",
		words: words(`AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Activity Altitude AmountOfSubstance
			AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum AngularVelocity Area Capacitance
			Conductance Conductivity Count Density Dimensionless DoseEquivalent DoseEquivalentRate DynamicViscosity
			ElectricCharge ElectricCurrent ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency
			Illuminance Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux
			LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass MassConcentration
			MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy MolarMass MolarThermodynamicEnergy
			MolarVolume Power Pressure RadiantFlux RadiantIntensity RelativeHumidity Resistance Resistivity SolidAngle
			SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time Torque Voltage Volume VolumeFlowRate
			VolumeFraction VolumetricFlux Wavenumber`),
	}
)

// word is the standard's bare word behind a value written in any of the ways, and whether it is written in one of
// them at all. The word may still be none of the standard's.
func (v *vocabulary) word(s string) (string, bool) {
	prefixes := []string{v.web, v.curie, v.urn}
	if v.web == gs1Voc {
		prefixes = append(prefixes, gs1VocLater)
	}
	for _, prefix := range prefixes {
		if prefix == "" {
			continue
		}
		if word, ok := strings.CutPrefix(s, prefix); ok {
			return word, true
		}
	}
	return s, !strings.Contains(s, ":")
}

// compact writes a standard value bare, as JSON-LD does, and leaves anything else as it is.
func (v *vocabulary) compact(s string) string {
	if word, ok := v.word(s); ok && v.words[word] {
		return word
	}
	return s
}

// expand writes a standard value as its web URI, and leaves anything else as it is.
func (v *vocabulary) expand(s string) string {
	if word, ok := v.word(s); ok && (v.words[word] || word != s) {
		return v.web + word
	}
	return s
}

// check says why a value is not allowed, or "". Values of anyone else's vocabulary are any URI.
func (v *vocabulary) check(s string) string {
	word, ours := v.word(s)
	switch {
	case !ours:
		if !isURI(s) {
			return quote(s) + " is neither a word of the Core Business Vocabulary nor a URI"
		}
	case v.words[word]:
	case word == s:
		return quote(s) + " is no word of the Core Business Vocabulary; a word of one's own must be a URI"
	case v.closed:
		return quote(word) + " is no word of the Core Business Vocabulary, whose namespace admits no others"
	}
	return ""
}
