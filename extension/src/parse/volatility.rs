//! Only values that depend on rows alone can be maintained: nothing would notice other changes.
//! Settings that the stream table keeps are constants; everything else that functions
//! read is refused.

use pgrx::pg_sys;

use super::analyzer::Analyzer;
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

/// Whether values of the type are times.
fn is_time(type_oid: pg_sys::Oid) -> bool {
    use pg_sys::{DATEOID, TIMEOID, TIMESTAMPOID, TIMESTAMPTZOID, TIMETZOID};
    [DATEOID, TIMEOID, TIMETZOID, TIMESTAMPOID, TIMESTAMPTZOID].contains(&type_oid)
}

/// Whether a function is the time.
fn is_moment(function: pg_sys::Oid) -> bool {
    matches!(
        function.to_u32(),
        pg_sys::F_NOW
            | pg_sys::F_TRANSACTION_TIMESTAMP
            | pg_sys::F_STATEMENT_TIMESTAMP
            | pg_sys::F_CLOCK_TIMESTAMP
            | pg_sys::F_TIMEOFDAY
    )
}

/// Adds what printing the value of an expression reads. A row without a named type shows what is in it only where it
/// is made.
fn print(expr: Node, form: Form, reads: &mut Reads) {
    node::check_stack_depth();
    if expr.type_oid() != pg_sys::RECORDOID {
        return printed::output(expr.type_oid(), form, reads);
    }
    if let Some(row) = expr.cast::<pg_sys::RowExpr>() {
        for field in node::list(row.args) {
            print(field, form, reads);
        }
    } else if let Some(case) = expr.cast::<pg_sys::CaseExpr>() {
        let arms = node::list_of::<pg_sys::CaseWhen>(case.args);
        let results = arms.iter().filter_map(|when| Node::new(when.result));
        for result in results.chain(Node::new(case.defresult)) {
            print(result, form, reads);
        }
    } else if !expr
        .cast::<pg_sys::Const>()
        .is_some_and(|constant| constant.constisnull)
    {
        reads.add(Reading::Other(Other::Unknown));
    }
}

/// Adds what a function reads that makes values of its result's type from text. The columns of a row whose type is
/// given beside the call are looked at there.
fn input_of_call(function: pg_sys::Oid, node: Node, reads: &mut Reads) {
    const BESIDE: [u32; 4] = [
        pg_sys::F_JSON_TO_RECORD,
        pg_sys::F_JSON_TO_RECORDSET,
        pg_sys::F_JSONB_TO_RECORD,
        pg_sys::F_JSONB_TO_RECORDSET,
    ];
    if BESIDE.contains(&function.to_u32()) {
        return;
    }
    if node.type_oid() == pg_sys::RECORDOID {
        return reads.add(Reading::Other(Other::Unknown));
    }
    printed::input(node.type_oid(), !populates_guarded(node), reads);
}

/// Functions whose results, with these arguments, depend on the arguments alone.
fn is_fixed_call(function: pg_sys::Oid, node: Node) -> bool {
    let arguments = arguments(node);
    let second = arguments.get(1).copied();
    let format = || second.and_then(constant::text);
    // What follows the session's locale in a format.
    let is_plain = |format: String, localised: &[&str]| {
        let format = format.to_uppercase();
        !localised.iter().any(|pattern| format.contains(pattern))
    };
    match function.to_u32() {
        pg_sys::F_TO_CHAR_TIMESTAMP_TEXT | pg_sys::F_TO_CHAR_INTERVAL_TEXT | pg_sys::F_TO_DATE => {
            format().is_some_and(|format| is_plain(format, &["TM"]))
        }
        pg_sys::F_TO_CHAR_NUMERIC_TEXT
        | pg_sys::F_TO_CHAR_INT4_TEXT
        | pg_sys::F_TO_CHAR_INT8_TEXT
        | pg_sys::F_TO_CHAR_FLOAT4_TEXT
        | pg_sys::F_TO_CHAR_FLOAT8_TEXT => {
            format().is_some_and(|format| is_plain(format, &["L", "D", "G", "S"]))
        }
        pg_sys::F_TIMESTAMPTZ_PL_INTERVAL | pg_sys::F_TIMESTAMPTZ_MI_INTERVAL => {
            second.is_some_and(constant::is_duration)
        }
        pg_sys::F_EXTRACT_TEXT_TIMESTAMPTZ | pg_sys::F_DATE_PART_TEXT_TIMESTAMPTZ => arguments
            .first()
            .and_then(|field| constant::text(*field))
            .is_some_and(|field| field.eq_ignore_ascii_case("epoch")),
        _ => false,
    }
}

/// The arguments of a call. An array given as VARIADIC is printed as what it is.
fn arguments(node: Node) -> Vec<Node> {
    if let Some(call) = node.cast::<pg_sys::FuncExpr>() {
        return node::list(call.args);
    }
    match node.cast::<pg_sys::OpExpr>() {
        Some(operator) => node::list(operator.args),
        None => Vec::new(),
    }
}
