/* Calls the server every `every` ms, while the page is visible. */
import { useEffect, useEffectEvent } from "react";

export const Poll = ({ every, onTick }) => {
  const tick = useEffectEvent(() => document.visibilityState === "visible" && onTick());
  useEffect(() => {
    const timer = setInterval(() => tick(), every);
    return () => clearInterval(timer);
  }, [every]);
};
