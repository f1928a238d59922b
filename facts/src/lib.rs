//! Facts of other projects' APIs, as tables: the fields of an object, their types, and the allowed values. They contain no
//! text of those projects; each table names its source in its first lines.
//!
//! A table is tab-separated text, one fact per line; `#` starts a comment:
//!
//! | first cell | the other cells |
//! |---|---|
//! | `crd` | kind, then `key=value` cells: group, version, plural, scope, `size` in bytes of the original … |
//! | `column` | kind, name, type, `JSONPath`, priority: a column of `kubectl get` |
//! | `route` | method, path, then `status=KIND` cells: the answers, and what their bodies are |
//! | `body`, `query`, `path` | of a route: its body, its parameters |
//! | a type's name | field, kind of value, then constraints |
//!
//! A kind of value is `string`, `integer`, `number`, `boolean`, `object`, `int-or-string`, `any`, the name of a type,
//! `[KIND]` (a list) or `{KIND}` (a map); a scalar may have a format, as `integer:int32`. The field `=` makes a name for a
//! kind with constraints of its own, for the items of a list.
//!
//! Pure: no I/O.

mod definition;
pub mod metrics;
mod rest;
mod table;
#[cfg(test)]
mod tests;

pub use table::Table;

use std::sync::LazyLock;

/// The custom resources of Actions Runner Controller, as chart 0.23.3 has them (those of 0.23.0 to 0.23.4).
pub fn actions_runner_controller_0_23_3() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        Table::read(include_str!(
            "../tables/actions-runner-controller-0.23.3.tsv"
        ))
    });
    &TABLE
}

/// The custom resources of Actions Runner Controller, as chart 0.23.7 has them (those since 0.23.5).
pub fn actions_runner_controller_0_23_7() -> &'static Table {
    static TABLE: LazyLock<Table> = LazyLock::new(|| {
        Table::read(include_str!(
            "../tables/actions-runner-controller-0.23.7.tsv"
        ))
    });
    &TABLE
}

/// The custom resources of cert-manager v1.21.1.
pub fn cert_manager_1_21_1() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/cert-manager-v1.21.1.tsv")));
    &TABLE
}

/// The custom resources of GitHub's own controller, runner scale sets, as chart 0.14.2 has them (those of 0.14.0 to 0.14.2).
pub fn gha_runner_scale_set_0_14_2() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/gha-runner-scale-set-0.14.2.tsv")));
    &TABLE
}

/// The custom resources of Flux that arcctl writes.
pub fn flux() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/flux.tsv")));
    &TABLE
}

/// The Application of Argo CD.
pub fn argo_cd() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/argocd.tsv")));
    &TABLE
}

/// The `ExternalSecret` of External Secrets Operator.
pub fn external_secrets() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/external-secrets.tsv")));
    &TABLE
}

/// GitHub's REST API as far as runners are concerned, as an `OpenAPI` document without text: `paths`, and
/// `components.schemas`.
pub fn github_rest_document() -> serde_json::Value {
    rest::document(github_rest())
}

fn github_rest() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::read(include_str!("../tables/github-rest.tsv")));
    &TABLE
}
