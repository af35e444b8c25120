//! The form of `deploy/alerts.yml`, as Prometheus wants it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::docs::pages;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub alert: String,
    pub expr: String,
    #[serde(rename = "for", default)]
    _for: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: Annotations,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotations {
    pub summary: String,
    pub runbook: String,
}

pub fn rules() -> anyhow::Result<Vec<Rule>> {
    let text = std::fs::read_to_string(pages::root().join("deploy/alerts.yml"))?;
    let file: RuleFile = serde_yaml_ng::from_str(&text)?;
    Ok(file.groups.into_iter().flat_map(|group| group.rules).collect())
}
