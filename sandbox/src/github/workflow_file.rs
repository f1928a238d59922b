//! Parses the parts of a workflow file that are needed to run its jobs: trigger, inputs, conditions, labels, steps.
//! Anything else is rejected when it is committed, and not ignored.
//!
//! Pure: no I/O.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// A workflow in the default branch of a repository.
#[derive(Clone, Debug)]
pub(super) struct Workflow {
    /// Its repository, `OWNER/NAME`.
    pub(super) repository: String,
    /// Its file in `.github/workflows`.
    pub(super) file: String,
    /// What its runs are called, with `${{ inputs.NAME }}` in it.
    run_name: Option<String>,
    /// The inputs of `workflow_dispatch`, and whether each is required; `None` is a workflow without that trigger.
    inputs: Option<BTreeMap<String, bool>>,
    jobs: Vec<Template>,
}

/// A job before it runs.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) name: String,
    /// Pairs of which one must hold: an input and its value; none is always.
    conditions: Vec<(String, String)>,
    pub(super) labels: Vec<String>,
    pub(super) steps: Vec<String>,
}

impl Workflow {
    /// Reads the file.
    pub(super) fn parse(repository: &str, file: &str, text: &str) -> Result<Self> {
        let value: Value = serde_saphyr::from_str(text).context("the workflow is not YAML")?;
        let jobs = value["jobs"]
            .as_object()
            .context("the workflow has no `jobs`")?;
        let jobs = jobs.iter().map(|(id, job)| Template::parse(id, job));
        Ok(Self {
            repository: repository.to_owned(),
            file: file.to_owned(),
            run_name: value["run-name"].as_str().map(ToOwned::to_owned),
            inputs: inputs(&value["on"]),
            jobs: jobs.collect::<Result<_>>()?,
        })
    }

    /// What is wrong with a dispatch, in GitHub's words.
    pub(super) fn refuses(&self, given: &Map<String, Value>) -> Option<String> {
        let Some(inputs) = &self.inputs else {
            return Some("Workflow does not have 'workflow_dispatch' trigger".to_owned());
        };
        let unknown: Vec<&String> = given
            .keys()
            .filter(|it| !inputs.contains_key(*it))
            .collect();
        if !unknown.is_empty() {
            return Some(format!("Unexpected inputs provided: {unknown:?}"));
        }
        let missing =
            |(name, required): &(&String, &bool)| **required && !given.contains_key(*name);
        let missing = inputs.iter().find(missing);
        missing.map(|(name, _)| format!("Required input '{name}' not provided"))
    }

    /// What a run with these inputs is called.
    pub(super) fn title(&self, given: &Map<String, Value>) -> String {
        let name = self.run_name.clone().unwrap_or_else(|| self.file.clone());
        given.iter().fold(name, |name, (input, value)| {
            let value = value.as_str().unwrap_or_default();
            name.replace(&format!("${{{{ inputs.{input} }}}}"), value)
        })
    }

    /// Its jobs, and whether each runs with these inputs.
    pub(super) fn jobs(&self, given: &Map<String, Value>) -> Vec<(Template, bool)> {
        let value = |input: &str| given.get(input).and_then(Value::as_str).unwrap_or_default();
        let runs = |job: &Template| {
            let holds = |(input, wanted): &(String, String)| value(input) == wanted;
            job.conditions.is_empty() || job.conditions.iter().any(holds)
        };
        self.jobs.iter().map(|it| (it.clone(), runs(it))).collect()
    }
}

impl Template {
    fn parse(id: &str, job: &Value) -> Result<Self> {
        let name = job["name"].as_str().unwrap_or(id).to_owned();
        let steps = job["steps"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let step = |step: &Value| match (step["name"].as_str(), step["run"].as_str()) {
            (Some(name), _) => name.to_owned(),
            (None, run) => format!("Run {}", run.unwrap_or_default()),
        };
        Ok(Self {
            conditions: conditions(job["if"].as_str()).with_context(|| {
                format!("job `{id}` has a condition that the sandbox does not know")
            })?,
            labels: texts(&job["runs-on"]),
            steps: steps.iter().map(step).collect(),
            name,
        })
    }
}

/// The inputs of the trigger, which is one of three forms.
fn inputs(on: &Value) -> Option<BTreeMap<String, bool>> {
    const TRIGGER: &str = "workflow_dispatch";
    let Some(by_name) = on.as_object() else {
        return texts(on).iter().any(|it| it == TRIGGER).then(BTreeMap::new);
    };
    let inputs = by_name.get(TRIGGER)?["inputs"].as_object();
    let required = |(name, input): (&String, &Value)| (name.clone(), input["required"] == true);
    Some(inputs.into_iter().flatten().map(required).collect())
}

/// `inputs.A == 'x' || inputs.B == 'y'`.
fn conditions(text: Option<&str>) -> Result<Vec<(String, String)>> {
    let pair = |part: &str| -> Option<(String, String)> {
        let (input, value) = part.split_once(" == ")?;
        let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        Some((
            input.trim().strip_prefix("inputs.")?.to_owned(),
            value.to_owned(),
        ))
    };
    let mut pairs = Vec::new();
    for part in text.into_iter().flat_map(|it| it.split("||")) {
        match pair(part) {
            Some(pair) => pairs.push(pair),
            None => bail!("`{part}` is not of the form `inputs.NAME == 'VALUE'`"),
        }
    }
    Ok(pairs)
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items
            .iter()
            .filter_map(|it| it.as_str().map(ToOwned::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(on: &str, condition: &str) -> Result<Workflow> {
        let text = format!(
            "run-name: smoke ${{{{ inputs.nonce }}}}\non: {on}\njobs:\n  a:\n    if: {condition}\n    runs-on: x\n"
        );
        Workflow::parse("o/r", "smoke.yaml", &text)
    }

    fn given(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    const ON: &str =
        "{workflow_dispatch: {inputs: {nonce: {required: true}, pool: {required: false}}}}";

    #[test]
    fn a_dispatch_is_refused_without_trigger_or_with_other_inputs() {
        let none = given(&json!({}));
        let push = parse("push", "inputs.a == ''").unwrap();
        assert!(
            push.refuses(&none)
                .unwrap()
                .contains("'workflow_dispatch' trigger")
        );
        let workflow = parse(ON, "inputs.pool == ''").unwrap();
        assert!(
            workflow
                .refuses(&none)
                .unwrap()
                .contains("'nonce' not provided")
        );
        let unknown = given(&json!({"nonce": "1", "x": "y"}));
        assert!(workflow.refuses(&unknown).unwrap().contains("[\"x\"]"));
        let right = given(&json!({"nonce": "1"}));
        assert_eq!(workflow.refuses(&right), None);
        assert_eq!(workflow.title(&right), "smoke 1");
        assert!(
            parse("workflow_dispatch", "inputs.a == ''")
                .unwrap()
                .refuses(&none)
                .is_none()
        );
    }

    #[test]
    fn a_job_runs_when_one_of_its_conditions_holds() {
        let workflow = parse(ON, "inputs.pool == '' || inputs.pool == 'a'").unwrap();
        let runs = |inputs: Value| workflow.jobs(&given(&inputs))[0].1;
        assert!(runs(json!({})) && runs(json!({"pool": "a"})));
        assert!(!runs(json!({"pool": "b"})));
        assert!(parse(ON, "github.actor == 'x'").is_err());
    }
}
