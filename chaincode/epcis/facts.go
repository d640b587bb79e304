package epcis

// Type is the event's type as it is written: the standard's bare name, or a URI of someone's own.
func (e *Event) Type() string { return e.fields.get("type").str() }
