import type { ComponentChildren, JSX } from "preact";
import "./button.css";
import { Icon, type IconName } from "./Icon";

type Given = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  /** The one grape button of a view. */
  primary?: boolean;
  /** Words alone, as in a sentence. */
  quiet?: boolean;
  icon?: IconName;
  children?: ComponentChildren;
};

export function Button({ primary, quiet, icon, children, ...given }: Given) {
  const kind = primary ? "button primary" : quiet ? "button quiet" : "button";
  return (
    <button type="button" {...given} class={kind}>
      {icon && <Icon name={icon} size={20} />}
      {children}
    </button>
  );
}

/** The same for a link: it goes somewhere and does nothing. */
export function Go({
  to,
  primary,
  children,
}: {
  to: string;
  primary?: boolean;
  children: ComponentChildren;
}) {
  return (
    <a href={to} class={primary ? "button primary" : "button"}>
      {children}
      {primary && <Icon name="next" size={20} />}
    </a>
  );
}
