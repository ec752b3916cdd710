//! Only values that depend on rows alone can be maintained: nothing would notice other changes.
//! Settings that the stream table keeps are constants; everything else that functions
//! read is refused.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
use super::call_reads::{arguments, input_of_call, is_fixed_call, is_moment, is_time, print};
use super::clock_documents::{self, makes_guarded_rows, populates_guarded};
use super::clock_words::{guarded_elements, is_guarded, says_clock};
use super::tested_input::tested_type;
use crate::capability::{Capability, MOMENT, STABLE_FUNCTION, TEXT_OF_TIME, VOLATILE_FUNCTION};
use crate::pg::node::{self, Node, NodeOf, Walk};
use crate::pg::printed;
use crate::pg::reads::{self, Form, Other, Reading, Reads};
use crate::pg::{altered_node, constant, deparse, make_node, types};

/// What was found, with its name.
type Found = (&'static Capability, String);

/// What the nodes of an expression read.
#[derive(Default)]
struct Volatility {
    reads: Reads,
    found: Vec<Found>,
    /// Conversions of text that may say what the clock decides, and raises an error then.
    guarded: Vec<String>,
    /// Nodes inside of what converts an array or a document behind such a function.
    inside: Vec<Node>,
}

impl Analyzer {
    /// Records what the expression reads besides rows, and refuses what no stream table keeps.
    pub fn check_volatility(&mut self, expr: Node) {
        let mut volatility = Volatility::default();
        expr.walk(&mut |node| {
            volatility.node(node);
            Walk::Descend
        });
        let Volatility {
            reads,
            found,
            guarded,
            inside: _,
        } = volatility;
        self.may_meet_clock_words |= !guarded.is_empty();
        for construct in guarded {
            self.note(&TEXT_OF_TIME, construct);
        }
        for (capability, construct) in found {
            self.refuse(capability, construct);
        }
        self.depend_on(reads);
    }

    /// Records what a function reads that stands nowhere in an expression.
    pub fn check_function(&mut self, function: pg_sys::Oid, construct: &str) {
        let mut reads = Reads::default();
        reads.add_function(function);
        if reads.other.is_some() {
            self.refuse(&STABLE_FUNCTION, construct);
        }
        self.depend_on(reads);
    }

    /// Records what reading values of the type from text reads; `is_guarded`: the text has no words like `now`.
    pub fn check_input(&mut self, type_oid: pg_sys::Oid, is_guarded: bool) {
        let mut reads = Reads::default();
        printed::input(type_oid, !is_guarded, &mut reads);
        if is_guarded {
            self.may_meet_clock_words = true;
            let to = deparse::type_name(type_oid, -1);
            self.note(&TEXT_OF_TIME, format!("conversion of text to {to}"));
        }
        if let Some(other) = reads.other {
            let name = deparse::type_name(type_oid, -1);
            self.refuse(&STABLE_FUNCTION, conversion(&name, other));
        }
        self.depend_on(reads);
    }

    /// Records the settings that a value reads whose clock is followed, and the operator that compares it.
    pub fn check_bound(&mut self, bound: Node, operator: Option<pg_sys::Oid>) {
        let mut reads = Reads::default();
        bound.walk(&mut |node| {
            if node.is::<pg_sys::SQLValueFunction>() && node.type_oid() != pg_sys::TIMESTAMPTZOID {
                reads.add(Reading::Setting("TimeZone"));
            }
            for function in types::functions_called(node) {
                reads.add_function(function);
            }
            Walk::Descend
        });
        if let Some(operator) = operator {
            reads.add_function(types::operator_function(operator));
        }
        self.depend_on(reads);
    }
}

/// A conversion of text, for messages.
fn conversion(type_name: &str, other: Other) -> String {
    match other {
        Other::Clock => format!("conversion of text, which may say 'now', to {type_name}"),
        _ => format!("conversion of text to {type_name}"),
    }
}

impl Volatility {
    /// What the node itself reads.
    fn node(&mut self, node: Node) {
        if node.is::<pg_sys::SQLValueFunction>() {
            let capability = match is_time(node.type_oid()) {
                true => &MOMENT,
                false => &STABLE_FUNCTION,
            };
            return self.refuse(capability, deparse::expression(node));
        }
        if node.tag() == pg_sys::NodeTag::T_NextValueExpr {
            return self.refuse(&VOLATILE_FUNCTION, "nextval".into());
        }
        if let Some(call) = node.cast::<pg_sys::Aggref>() {
            return self.aggregate(&call);
        }
        if let Some(conversion) = node.cast::<pg_sys::ArrayCoerceExpr>() {
            self.inside.extend(guarded_elements(&conversion));
        }
        if let Some(table) = node.cast::<pg_sys::TableFunc>() {
            if makes_guarded_rows(node) {
                self.inside.extend(node::list(table.colvalexprs));
            }
            return;
        }
        if let Some(conversion) = node.cast::<pg_sys::CoerceViaIO>() {
            return self.conversion(&conversion);
        }
        if let Some(constructor) = node.cast::<pg_sys::JsonConstructorExpr>() {
            return self.json_constructor(&constructor);
        }
        if let Some(query) = node.cast::<pg_sys::JsonExpr>() {
            return self.json_query(node, &query);
        }
        if let Some(xml) = node.cast::<pg_sys::XmlExpr>() {
            return self.xml(&xml);
        }
        for function in types::functions_called(node) {
            self.function(function, node);
        }
    }

    fn refuse(&mut self, capability: &'static Capability, construct: String) {
        self.found.push((capability, construct));
    }

    /// Takes in what one construct reads; refuses it if that is what no stream table keeps.
    fn take(&mut self, construct: impl FnOnce(Other) -> String, read: impl FnOnce(&mut Reads)) {
        let before = self.reads.other.take();
        read(&mut self.reads);
        if let Some(other) = self.reads.other.take() {
            self.refuse(&STABLE_FUNCTION, construct(other));
        }
        self.reads.other = before;
    }

    fn function(&mut self, function: pg_sys::Oid, node: Node) {
        if populates_guarded(node) {
            let to = deparse::type_name(node.type_oid(), -1);
            self.guarded.push(format!("conversion of text to {to}"));
        }
        let name = |_| format!("function {}", types::function_name(function));
        if is_moment(function) {
            return self.refuse(&MOMENT, name(Other::Clock));
        }
        if types::function_volatility(function) == b'v' {
            return self.refuse(&VOLATILE_FUNCTION, name(Other::Unknown));
        }
        if is_fixed_call(function, node) {
            return;
        }
        if let Some(tested) = tested_type(function, node) {
            return self.take(name, |reads| printed::input(tested, false, reads));
        }
        self.take(name, |reads| {
            for reading in reads::of_function(function) {
                match reading {
                    Reading::Printing(form) => arguments(node)
                        .into_iter()
                        .for_each(|argument| print(argument, *form, reads)),
                    Reading::Input => input_of_call(function, node, reads),
                    reading => reads.add(*reading),
                }
            }
        });
    }

    fn conversion(&mut self, conversion: &NodeOf<pg_sys::CoerceViaIO>) {
        let Some(argument) = Node::new(conversion.arg) else {
            return;
        };
        let from = deparse::type_name(argument.type_oid(), -1);
        let to = deparse::type_name(conversion.resulttype, -1);
        let is_guarded = is_guarded(argument) || self.is_inside(conversion.node());
        if is_guarded {
            self.guarded.push(format!("conversion of text to {to}"));
        }
        let has_clock_words =
            !is_guarded && constant::text(argument).is_none_or(|text| says_clock(&text));
        self.take(
            |_| format!("conversion of {from} to text"),
            |reads| print(argument, Form::Text, reads),
        );
        self.take(
            |other| self::conversion(&to, other),
            |reads| printed::input(conversion.resulttype, has_clock_words, reads),
        );
    }

    /// The rules for what SQL/JSON constructors print are those of the functions that they stand for.
    fn json_constructor(&mut self, constructor: &NodeOf<pg_sys::JsonConstructorExpr>) {
        let form = match types::returns_binary_json(constructor) {
            true => Form::Jsonb,
            false => Form::Json,
        };
        let arguments = node::list(constructor.args);
        self.take(
            |_| "SQL/JSON constructor".into(),
            |reads| {
                for argument in arguments {
                    print(argument, form, reads);
                }
            },
        );
    }

    fn json_query(&mut self, node: Node, query: &NodeOf<pg_sys::JsonExpr>) {
        // What its path reads, the server knows; of the document the nodes inside tell.
        let path = Node::new(query.formatted_expr).and_then(|document| {
            let none = make_node::make_null(document.type_oid(), -1, pg_sys::InvalidOid)?;
            altered_node::with_document(query, none)
        });
        if types::is_mutable(path.unwrap_or(node)) {
            return self.refuse(&STABLE_FUNCTION, "SQL/JSON expression".into());
        }
        if query.use_io_coercion {
            let to = deparse::type_name(node.type_oid(), -1);
            let is_guarded = self.is_inside(node)
                || Node::new(query.formatted_expr).is_some_and(clock_documents::is_guarded);
            if is_guarded {
                self.guarded.push(format!("conversion of text to {to}"));
            }
            self.take(
                |other| conversion(&to, other),
                |reads| printed::input(node.type_oid(), !is_guarded, reads),
            );
        }
    }

    fn is_inside(&self, node: Node) -> bool {
        self.inside
            .iter()
            .any(|inside| inside.as_ptr() == node.as_ptr())
    }

    fn xml(&mut self, xml: &NodeOf<pg_sys::XmlExpr>) {
        let all = node::list(xml.named_args)
            .into_iter()
            .chain(node::list(xml.args));
        self.take(
            |_| "XML expression".into(),
            |reads| all.for_each(|argument| print(argument, Form::Xml, reads)),
        );
    }

    /// The server calls every aggregate immutable, and so do we: many a transition function is VOLATILE only because
    /// its CREATE FUNCTION says nothing. One that says STABLE does depend on more than its arguments.
    fn aggregate(&mut self, call: &NodeOf<pg_sys::Aggref>) {
        let name = types::function_name(call.aggfnoid);
        if types::is_builtin(call.aggfnoid) && name.starts_with("json") {
            let form = match name.starts_with("jsonb") {
                true => Form::Jsonb,
                false => Form::Json,
            };
            let arguments = node::list_of::<pg_sys::TargetEntry>(call.args)
                .into_iter()
                .filter(|argument| !argument.resjunk)
                .filter_map(|argument| Node::new(argument.expr));
            return self.take(
                |_| format!("aggregate {name}"),
                |reads| arguments.for_each(|argument| print(argument, form, reads)),
            );
        }
        let Some(aggregate) = types::aggregate_function(call.aggfnoid) else {
            return;
        };
        let is_stable = |function: &pg_sys::Oid| types::function_volatility(*function) == b's';
        for function in aggregate.functions.into_iter().filter(is_stable) {
            let of = types::function_name(function);
            self.take(
                |_| format!("function {of} of aggregate {name}"),
                |reads| reads.add_function(function),
            );
        }
    }
}
