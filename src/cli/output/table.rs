//! Tables: columns as wide as their widest cell, three spaces apart and ten characters at least, as Docker's formatter writes them.

/// Renders rows below a header, each with a newline.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    render_columns(header, rows, 10)
}

/// As [`render`], with columns of twenty characters at least: Docker Compose's own tables.
pub(crate) fn render_wide(header: &[&str], rows: &[Vec<String>]) -> String {
    render_columns(header, rows, 20)
}

/// As [`render`], with columns two spaces apart and four characters at least: Docker Compose's table of processes.
pub(crate) fn render_narrow(header: &[&str], rows: &[Vec<String>]) -> String {
    render_spaced(header, rows, 4, 2)
}

fn render_columns(header: &[&str], rows: &[Vec<String>], least: usize) -> String {
    render_spaced(header, rows, least, 3)
}

fn render_spaced(header: &[&str], rows: &[Vec<String>], least: usize, apart: usize) -> String {
    let columns = header.len();
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let write = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (index, cell) in cells.enumerate() {
            line.push_str(cell);
            if index + 1 < columns {
                line.extend(std::iter::repeat_n(' ', (widths[index] + apart).max(least) - cell.chars().count()));
            }
        }
        line.push('\n');
        line
    };
    let mut text = write(&mut header.iter().copied());
    rows.iter().for_each(|row| text.push_str(&write(&mut row.iter().map(String::as_str))));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".to_owned(), "long cell".to_owned(), "x".to_owned()]];
        assert_eq!(render(&["NAME", "B", "C"], &rows), "NAME      B           C\na         long cell   x\n");
    }
}
