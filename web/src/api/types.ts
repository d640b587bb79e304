// The API's words under their short names; all of them generated from gateway/api/openapi.yaml.
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Alert = Schemas["Alert"];
export type AlertKind = Schemas["AlertKind"];
export type Agreement = Schemas["Agreement"];
export type Attachment = Schemas["Attachment"];
export type Checkpoint = Schemas["Checkpoint"];
export type Device = Schemas["Device"];
export type Excursion = Schemas["Excursion"];
export type Limits = Schemas["Limits"];
export type NodeClock = Schemas["NodeClock"];
export type NodeStatus = Schemas["NodeStatus"];
export type Organisation = Schemas["Organisation"];
export type Point = Schemas["Point"];
export type Prediction = Schemas["Prediction"];
export type Quarantined = Schemas["Quarantined"];
export type Readings = Schemas["Readings"];
export type RecordProvenance = Schemas["RecordProvenance"];
export type Series = Schemas["Series"];
export type Shipment = Schemas["Shipment"];
export type ShipmentPage = Schemas["ShipmentPage"];
export type ShipmentSort = Schemas["ShipmentSort"];
export type ShipmentState = Schemas["ShipmentState"];
export type ShipmentSummary = Schemas["ShipmentSummary"];
export type SortOrder = Schemas["SortOrder"];

/** What the live stream says: event names and their data. */
export interface StreamEvents {
	block: Schemas["StreamBlock"];
	shipment: ShipmentSummary;
	readings: Schemas["StreamReadings"];
	alert: Alert;
	device: Device;
	checkpoint: Checkpoint;
	resync: Schemas["StreamResync"];
}
