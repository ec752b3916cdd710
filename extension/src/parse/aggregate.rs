//! One aggregate call: how it can be maintained.
//!
//! Direct arguments stand above the grouping: they read its keys, and rows outside.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Aggregate, AggregateKind};

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use super::group_columns::Grouping;
use super::stage::Stage;
use crate::capability::{
    BOOL_AGGREGATE, COUNT, Capability, DIRECT_ARGUMENT, DISTINCT_AGGREGATE, FILTERED_AGGREGATE,
    MIN_MAX, ORDERED_INPUT, ORDERED_SET, RECOMPUTED_AGGREGATE, SUM_AVG,
};
use crate::error::Result;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::{altered_node, types};

/// The argument of a call that has one.
fn only_argument(call: NodeOf<pg_sys::Aggref>) -> Option<Node> {
    let targets = node::list_of::<pg_sys::TargetEntry>(call.args).into_iter();
    let targets = targets.filter(|target| !target.resjunk);
    let arguments: Vec<Node> = targets.filter_map(|t| Node::new(t.expr)).collect();
    match arguments.as_slice() {
        [argument] => Some(*argument),
        _ => None,
    }
}

impl Analyzer {
    /// The call, over the columns below the grouping; its direct arguments over the keys.
    pub fn aggregate(
        &mut self,
        stage: &mut Stage<'_>,
        keys: &Grouping,
        call: NodeOf<pg_sys::Aggref>,
    ) -> Result<Aggregate> {
        let bound = self.bound_call(stage, keys, call)?;
        let printed = self.expression(bound);
        let parts = bound.cast::<pg_sys::Aggref>();
        let argument = parts.and_then(only_argument);
        let argument_scale = argument.map_or(Scale::Unknown, |node| self.scale(node));
        let kind = kind_of(&call, argument, argument_scale);
        let scale = match kind {
            AggregateKind::Min | AggregateKind::Max => argument_scale,
            AggregateKind::SumNumeric { scale } => scale.map_or(Scale::Unknown, Scale::Fixed),
            AggregateKind::SumInteger => Scale::Fixed(0),
            _ => Scale::Unknown,
        };
        let name = types::function_name(call.aggfnoid);
        let counts = matches!(kind, AggregateKind::Count | AggregateKind::CountStar);
        let node = call.node();
        let ty = (node.type_oid(), node.typmod(), node.collation());
        let mut column = self.add_column(name.clone(), ty, !counts, scale);
        self.check_storable(&column);
        // DISTINCT sorts.
        let keeps_order = node::list_length(call.aggorder) == 0
            && node::list_length(call.aggdistinct) == 0
            && call.aggkind as u8 == b'n';
        let may_show_order = kind == AggregateKind::Recompute
            && keeps_order
            && !disregards_order(call.aggfnoid, &name);
        if may_show_order && stage.level.has_ordered_input() {
            self.refuse(&ORDERED_INPUT, format!("{name} without ORDER BY"));
        }
        let is_extremum = matches!(
            kind,
            AggregateKind::Min
                | AggregateKind::Max
                | AggregateKind::BoolAnd
                | AggregateKind::BoolOr
        );
        let distinct = node::list_length(call.aggdistinct) > 0 && !is_extremum;
        self.note_aggregate(&call, kind, distinct, &name);
        let filter = parts.and_then(|call| Node::new(call.aggfilter));
        let has_argument = !matches!(kind, AggregateKind::CountStar | AggregateKind::Recompute);
        let argument = argument
            .filter(|_| has_argument)
            .map(|argument| self.expression(argument));
        // An extremum is one of the arguments.
        if matches!(kind, AggregateKind::Min | AggregateKind::Max)
            && argument
                .as_ref()
                .is_some_and(|argument| argument.ty.image_equality)
        {
            column = self.with_image_equality(column);
        }
        Ok(Aggregate {
            column,
            kind,
            call: printed,
            argument,
            filter: filter.map(|filter| self.expression(filter)),
            distinct,
        })
    }

    fn note_aggregate(
        &mut self,
        call: &pg_sys::Aggref,
        kind: AggregateKind,
        distinct: bool,
        name: &str,
    ) {
        self.note(capability_of(kind), name);
        if call.aggkind as u8 != b'n' {
            self.note(&ORDERED_SET, name);
        }
        if distinct {
            self.note(&DISTINCT_AGGREGATE, name);
        }
        if !call.aggfilter.is_null() {
            self.note(&FILTERED_AGGREGATE, name);
        }
    }

    fn bound_call(
        &mut self,
        stage: &mut Stage<'_>,
        keys: &Grouping,
        call: NodeOf<pg_sys::Aggref>,
    ) -> Result<Node> {
        let direct = node::list(call.aggdirectargs);
        let Some(apart) =
            altered_node::with_direct_arguments(&call, &[]).filter(|_| !direct.is_empty())
        else {
            return self.bind(stage, call.node());
        };
        let mut above = Stage::new(stage.level, Some(keys));
        let mut arguments = Vec::with_capacity(direct.len());
        for argument in direct {
            arguments.push(self.bind(&mut above, argument)?);
        }
        // What the stage would add stands above the grouping, which computes the call.
        if !above.pending.is_empty() {
            self.refuse(&DIRECT_ARGUMENT, types::function_name(call.aggfnoid));
        }
        let below = self.bind(stage, apart.node())?;
        let whole = below
            .cast::<pg_sys::Aggref>()
            .and_then(|below| altered_node::with_direct_arguments(&below, &arguments));
        Ok(whole.map_or(below, |whole| whole.node()))
    }
}

fn kind_of(call: &pg_sys::Aggref, argument: Option<Node>, scale: Scale) -> AggregateKind {
    let scale = scale.fixed();
    let function = call.aggfnoid;
    if !types::is_builtin(function) || call.aggkind as u8 != b'n' || call.aggvariadic {
        return AggregateKind::Recompute;
    }
    match function.to_u32() {
        pg_sys::F_COUNT_ => AggregateKind::CountStar,
        pg_sys::F_COUNT_ANY => AggregateKind::Count,
        pg_sys::F_SUM_INT2 | pg_sys::F_SUM_INT4 | pg_sys::F_SUM_INT8 => AggregateKind::SumInteger,
        pg_sys::F_SUM_NUMERIC => AggregateKind::SumNumeric { scale },
        pg_sys::F_AVG_INT2 | pg_sys::F_AVG_INT4 | pg_sys::F_AVG_INT8 => AggregateKind::AvgInteger,
        pg_sys::F_AVG_NUMERIC => AggregateKind::AvgNumeric { scale },
        pg_sys::F_BOOL_AND | pg_sys::F_EVERY => AggregateKind::BoolAnd,
        pg_sys::F_BOOL_OR => AggregateKind::BoolOr,
        _ => extremum(function, argument).unwrap_or(AggregateKind::Recompute),
    }
}

/// `min` and `max` of the server, over a type that sorts.
fn extremum(function: pg_sys::Oid, argument: Option<Node>) -> Option<AggregateKind> {
    let kind = match types::function_name(function).as_str() {
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        _ => return None,
    };
    types::ordering(argument?.type_oid())?;
    types::aggregate_function(function)?
        .has_sort_operator
        .then_some(kind)
}

fn capability_of(kind: AggregateKind) -> &'static Capability {
    match kind {
        AggregateKind::CountStar | AggregateKind::Count => &COUNT,
        AggregateKind::SumInteger
        | AggregateKind::SumNumeric { .. }
        | AggregateKind::AvgInteger
        | AggregateKind::AvgNumeric { .. } => &SUM_AVG,
        AggregateKind::Min | AggregateKind::Max => &MIN_MAX,
        AggregateKind::BoolAnd | AggregateKind::BoolOr => &BOOL_AGGREGATE,
        AggregateKind::Recompute => &RECOMPUTED_AGGREGATE,
    }
}

/// Whether the aggregate is one of the server's own whose result does not show the order of its input, but for
/// the last digits of floats.
fn disregards_order(function: pg_sys::Oid, name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "corr",
        "covar_pop",
        "covar_samp",
        "range_agg",
        "range_intersect_agg",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
    ];
    function.to_u32() < pg_sys::FirstNormalObjectId
        && (NAMES.contains(&name) || name.starts_with("regr_"))
}
