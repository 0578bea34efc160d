// mysql, the driver before mysql2: it announces no authentication plugins, and has no prepared statements.
"use strict";

require("./sessions")(require("mysql"), (user) => ({ user }));
