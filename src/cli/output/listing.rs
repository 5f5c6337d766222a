//! Lists as Docker's formatter writes them: a table, JSON, or what a Go template makes of each row.

use serde_json::Value;

use crate::cli::error::CommandError;
use crate::cli::output::table;
use crate::cli::output::template::Template;

/// What a kind of list has.
pub(crate) struct Listing<'a> {
    /// The names of a row's fields.
    pub(crate) fields: &'a [&'a str],
    /// The columns of the table: heading and field.
    pub(crate) columns: &'a [(&'a str, &'a str)],
}

impl Listing<'_> {
    /// Understands a format, so that a wrong one is refused before anything is asked.
    pub(crate) fn parse(&self, format: &str) -> Result<Rows<'_>, CommandError> {
        let form = match format {
            "json" => Form::Json,
            "table" => Form::Table,
            format => match format.strip_prefix("table ") {
                Some(columns) => Form::Columns(Template::parse(columns, self.fields)?),
                None => Form::Template(Template::parse(format, self.fields)?),
            },
        };
        Ok(Rows { listing: self, form })
    }
}

enum Form {
    Json,
    Table,
    Columns(Template),
    Template(Template),
}

/// Writes rows in one way.
pub(crate) struct Rows<'a> {
    listing: &'a Listing<'a>,
    form: Form,
}

impl Rows<'_> {
    /// Writes rows.
    pub(crate) fn render(&self, rows: &[Value]) -> String {
        match &self.form {
            Form::Json => rows.iter().map(|row| format!("{row}\n")).collect(),
            Form::Table => {
                let (header, keys): (Vec<&str>, Vec<&str>) = self.listing.columns.iter().copied().unzip();
                let cell = |row: &Value, key: &str| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned);
                let cells: Vec<Vec<String>> = rows.iter().map(|row| keys.iter().map(|key| cell(row, key)).collect()).collect();
                table::render(&header, &cells)
            }
            Form::Columns(template) => {
                // A column that the table has, too, has its heading there.
                let known =
                    |field: &str| self.listing.columns.iter().find(|(_, key)| *key == field).map(|(heading, _)| (*heading).to_owned());
                let spaced = template.header();
                let header: Vec<String> = template.fields().zip(spaced).map(|(field, spaced)| known(field).unwrap_or(spaced)).collect();
                let header: Vec<&str> = header.iter().map(String::as_str).collect();
                let cells: Vec<Vec<String>> = rows.iter().map(|row| template.cells(row)).collect();
                table::render(&header, &cells)
            }
            Form::Template(template) => rows.iter().map(|row| format!("{}\n", template.render(row))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_four_ways_are_written() {
        let listing = Listing { fields: &["ID", "Name"], columns: &[("CONTAINER ID", "ID"), ("NAME", "Name")] };
        let rows = [json!({ "ID": "ab", "Name": "web" })];
        let render = |format: &str| listing.parse(format).map(|ways| ways.render(&rows)).map_err(|error| error.message().to_owned());
        assert_eq!(render("json").as_deref(), Ok("{\"ID\":\"ab\",\"Name\":\"web\"}\n"));
        assert_eq!(render("table").as_deref(), Ok("CONTAINER ID   NAME\nab             web\n"));
        assert_eq!(render("table {{.Name}}\\t{{.ID}}").as_deref(), Ok("NAME      CONTAINER ID\nweb       ab\n"));
        assert_eq!(render("{{.ID}}/{{.Name}}").as_deref(), Ok("ab/web\n"));
        assert!(render("{{.Nope}}").is_err() && render("table {{.Nope}}").is_err() && render("{{.ID").is_err());
    }
}
