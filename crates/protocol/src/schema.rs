//! The JSON Schema of the wire, generated from the types.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};

use crate::message::{
    Announcement, Departure, Find, Finding, Found, Membership, Message, RebuildAbort, RebuildOrder, RebuildProposal,
    Revocation, ServiceList, SignedBroadcast,
};
use crate::opening::{StreamAnswer, StreamRequest};

/// The schema of every message (`$defs` holds the parts), of every text that is signed, and of the lines at the
/// beginning of a stream.
#[must_use]
pub fn messages() -> Schema {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    record_texts(&mut generator);
    generator.subschema_for::<StreamRequest>();
    generator.subschema_for::<StreamAnswer>();
    let mut schema = generator.into_root_schema_for::<Message>();
    schema.insert("$id".to_owned(), "urn:meshline:messages:1".into());
    schema
}

/// Signed texts are strings inside the messages; their schemas are listed beside them.
fn record_texts(generator: &mut SchemaGenerator) {
    generator.subschema_for::<Membership>();
    generator.subschema_for::<Revocation>();
    generator.subschema_for::<Announcement>();
    generator.subschema_for::<Finding>();
    generator.subschema_for::<Find>();
    generator.subschema_for::<Found>();
    generator.subschema_for::<Departure>();
    generator.subschema_for::<SignedBroadcast>();
    generator.subschema_for::<ServiceList>();
    generator.subschema_for::<RebuildOrder>();
    generator.subschema_for::<RebuildAbort>();
    generator.subschema_for::<RebuildProposal>();
}
