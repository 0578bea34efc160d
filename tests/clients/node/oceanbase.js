// oceanbase: a fork of mysql2 that takes tenant and cluster as options of their own.
"use strict";

require("./sessions")(require("oceanbase"), (name) => {
  const [user, place] = name.split("@");
  const [tenant, cluster] = place.split("#");
  return { user, tenant, cluster };
});
