//! Every message whole, as `psql` shows it.

use super::*;

/// The error as `psql` shows it, with its SQLSTATE.
fn shown(error: &Error) -> String {
    let state: String = (0..5)
        .map(|at| {
            let six_bits = (error.sqlstate() as i32 >> (6 * at)) & 0x3f;
            char::from(b'0' + six_bits as u8)
        })
        .collect();
    let mut text = format!("ERROR:  {state}: {error}\n");
    for (label, line) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
        if let Some(line) = line {
            text.push_str(&format!("{label}:  {line}\n"));
        }
    }
    text
}

fn name() -> String {
    "sales".to_owned()
}

fn obstacles() -> Vec<Obstacle> {
    ["limit", "limit", "order"]
        .map(|what| Obstacle {
            code: what.to_uppercase(),
            reason: format!("{what}: not maintained yet"),
            remedy: format!("leave the {what} to the reader"),
        })
        .to_vec()
}

/// One error of each kind.
fn all() -> Vec<Error> {
    vec![
        Error::Internal("catalog row is missing".to_owned()),
        Error::Capture(CaptureError::Unlogged(name())),
        Error::VariadicArray("row_image_hash"),
        Error::NotInstalled("pgt_stream_tables".to_owned()),
        Error::UnknownStreamTable(name()),
        Error::Vanished,
        Error::RelationVanished(pgrx::pg_sys::Oid::from(16_400)),
        Error::NotAStreamTable(name()),
        Error::NotOwner(name()),
        Error::BadQuery("The text has 2 statements.".to_owned()),
        Error::UnknownCollation("region".to_owned()),
        Error::BadSchedule {
            text: "5 parsecs".to_owned(),
            reason: "\"parsecs\" is not a unit of time.".to_owned(),
        },
        Error::SchemaNeeded("pgtrickle_state".to_owned()),
        Error::ViewHasDependents {
            view: name(),
            dependents: vec!["view orders".to_owned()],
        },
        Error::SchemaTaken {
            table: name(),
            schema: "pgtrickle".to_owned(),
        },
        Error::NameTaken(name()),
        Error::AlteredAtCreation(name()),
        Error::SystemColumn("tableoid".to_owned()),
        Error::BadMode("fast".to_owned()),
        Error::RowsMeddledWith {
            table: name(),
            triggers: vec!["stamp".to_owned(), "thin_out".to_owned()],
        },
        Error::BadStatus("asleep".to_owned()),
        Error::Unsupported(obstacles()),
        Error::NotImmediate(obstacles()),
        Error::CannotFollow(name(), obstacles()),
        Error::Distributed(name()),
        Error::LostToCitus(name()),
        Error::Capture(crate::error::CaptureError::Citus(
            name(),
            crate::error::CitusTable::Reference,
        )),
        Error::Spread(SpreadError::Nodes {
            table: name(),
            failed: vec!["one:5432: connection lost".to_owned()],
        }),
        Error::Spread(SpreadError::InBlock(name())),
        Error::Spread(SpreadError::Fixed(name())),
        Error::Spread(SpreadError::BadColumn {
            column: "v".to_owned(),
            why: "It is not the distribution column.".to_owned(),
        }),
        Error::Spread(SpreadError::ShardMissing(102_008)),
        Error::Spread(SpreadError::NotMaintained {
            shard: 102_008,
            why: "table \"orders\": its rows are elsewhere".to_owned(),
        }),
        Error::Spread(SpreadError::ShardsUnclear {
            table: name(),
            shards: "102008, 102011".to_owned(),
        }),
        Error::Spread(SpreadError::Apart {
            table: name(),
            source_table: "orders".to_owned(),
        }),
        Error::Spread(SpreadError::ImageDiffers(name())),
        Error::Spread(SpreadError::OfAnother),
        Error::Spread(SpreadError::BadTask("SLEEP".to_owned())),
        Error::UnfinishedStatement(name()),
        Error::DefinitionChanged(name()),
        Error::Refused(obstacles()),
        Error::NullArgument("query"),
        Error::ReadDenied(name()),
        Error::NotSuperuser("restore stream tables"),
        Error::ColumnsFixed(name()),
        Error::TemporaryName(name()),
        Error::TemporarySource,
        Error::CycleDetected {
            name: name(),
            path: vec!["public.totals".to_owned(), "public.sales".to_owned()],
        },
        Error::FuseBlown {
            name: name(),
            rows: 5_000_000,
            ceiling: 1_000_000,
        },
        Error::SignalDenied("drain"),
        Error::BadTimeout(-1),
        Error::Stopping,
        Error::NotPreloaded("drain"),
        Error::CaptureDenied("public.orders".to_owned()),
        Error::CannotKeep {
            table: name(),
            lost: vec!["view orders".to_owned(), "index sales_v_idx".to_owned()],
        },
        Error::NotUpdated {
            database: "shop".to_owned(),
            catalog: "0.1.0".to_owned(),
            library: "0.2.0",
        },
        Error::NotRestored(name()),
        Error::SnapshotTooOld(name()),
        Error::PartitionsChanged(name()),
        Error::OutOfStep {
            relation: name(),
            missing: 3,
        },
        Error::KeyNotUnique { relation: name() },
        Error::ShapeChanged { relation: name() },
        Error::TypeNeeded {
            column: "v".to_owned(),
            users: vec![name()],
        },
        Error::IndexNeeded {
            action: "drop",
            index: "index \"pgt_key_1\"".to_owned(),
            table: name(),
        },
        Error::IndexMissing(name()),
        Error::TriggerNeeded {
            trigger: "pgt_guard_1".to_owned(),
            table: name(),
        },
        Error::NotAlone(name()),
        Error::ForeignKeyActs {
            constraint: "sales_customer_fkey".to_owned(),
            table: name(),
        },
        Error::Guarded(name()),
    ]
}

#[test]
fn every_message_is_shown_whole() {
    let shown: Vec<String> = all().iter().map(shown).collect();
    assert_eq!(shown.join("\n"), include_str!("messages.txt"));
}
