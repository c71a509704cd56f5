// Parts that few look at first: their modules are asked for when they are, so that the overview need not wait for them.

import { html, useEffect, useState } from "./preact.standalone.module.js";
import { Waiting } from "./parts.js";

/** Returns a component that is loaded when it is first drawn: `load` gives its module, in which it has a name. */
export function late(load, name) {
  let module = null;
  return function Late(properties) {
    const [, setState] = useState(null);
    useEffect(() => {
      if (module) return;
      load().then(
        (loaded) => {
          module = loaded;
          setState({});
        },
        // In the state, so that it is thrown where it is drawn: the view then says so.
        (fault) => setState(() => { throw fault; }),
      );
    }, []);
    return module ? html`<${module[name]} ...${properties} />` : html`<${Waiting} rows=${8} />`;
  };
}
