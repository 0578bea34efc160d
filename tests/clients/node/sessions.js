// Runs a request's sessions through a driver with the API of mysql or mysql2: a request as JSON in, the answers as JSON
// out.
"use strict";

const fs = require("node:fs");

function shown(fields, rows) {
  return {
    columns: fields.map((field) => field.name),
    types: fields.map((field) => field.columnType ?? field.type),
    rows: rows.map((row) => fields.map(({ name }) => (row[name] === null ? null : String(row[name])))),
    warnings: null,
  };
}

// Statements are sent without waiting for the answer before: the driver keeps them in line.
function run(connection, step) {
  const command = step.prepared && connection.execute ? connection.execute(step.sql) : connection.query(step.sql);
  const results = [];
  return new Promise((resolve) => {
    let current = null;
    command.on("fields", (fields) => {
      current = fields ? { fields, rows: [] } : null;
      if (current) results.push(current);
    });
    command.on("result", (row) => {
      if (row.affectedRows === undefined) current.rows.push(row);
      else results.push({ affected: row.affectedRows, warnings: row.warningStatus ?? row.warningCount });
    });
    command.on("error", (error) => {
      results.push({ code: error.errno, sqlstate: error.sqlState, message: error.sqlMessage });
      resolve(results);
    });
    command.on("end", () => resolve(results));
  }).then((all) => all.map((result) => (result.fields ? shown(result.fields, result.rows) : result)));
}

async function session(driver, login, request, { user, password, steps }) {
  const connection = driver.createConnection({
    host: request.host,
    port: request.port,
    password,
    multipleStatements: true,
    ssl: request.ca ? { ca: fs.readFileSync(request.ca) } : undefined,
    ...login(user),
  });
  const answers = await Promise.all(steps.map((step) => run(connection, step)));
  await new Promise((resolve, reject) => connection.end((error) => (error ? reject(error) : resolve())));
  return answers;
}

module.exports = async function sessions(driver, login) {
  const request = JSON.parse(fs.readFileSync(0, "utf8"));
  const answers = [];
  for (const one of request.sessions) answers.push(await session(driver, login, request, one));
  process.stdout.write(JSON.stringify(answers));
};
