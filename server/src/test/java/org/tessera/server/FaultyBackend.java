package org.tessera.server;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import org.tessera.device.Backend;
import org.tessera.device.Device;
import org.tessera.device.DeviceInfo;
import org.tessera.device.Devices;
import org.tessera.ops.Ops;

/** The CPU, with operations that fail once where a test says so. Found as {@code faulty}. */
public final class FaultyBackend implements Backend {
  private static final DeviceInfo INFO =
      new DeviceInfo("faulty:0", "a CPU that fails", 1L << 32, 1L << 32);
  private static final AtomicReference<Optional<Fault>> next =
      new AtomicReference<>(Optional.empty());

  private record Fault(String operation, Supplier<Throwable> failure) {}

  /** The next call of the operation fails. */
  static void failOnce(String operation, Supplier<Throwable> failure) {
    next.set(Optional.of(new Fault(operation, failure)));
  }

  /** Whether the failure has come, or there was none to come. */
  static boolean hasFailed() {
    return next.get().isEmpty();
  }

  static void failNever() {
    next.set(Optional.empty());
  }

  @Override
  public String name() {
    return "faulty";
  }

  @Override
  public Availability probe() {
    return new Availability.Available(List.of(INFO), List.of());
  }

  @Override
  public Device open(DeviceInfo info) {
    Device cpu = Devices.probe().open("cpu");
    Ops ops =
        proxy(
            Ops.class,
            cpu.ops(),
            operation -> {
              Optional<Fault> fault = next.get();
              if (fault.isPresent()
                  && fault.get().operation().equals(operation)
                  && next.compareAndSet(fault, Optional.empty())) {
                throw fault.get().failure().get();
              }
            });
    return (Device)
        Proxy.newProxyInstance(
            Device.class.getClassLoader(),
            new Class<?>[] {Device.class},
            (self, method, arguments) ->
                switch (method.getName()) {
                  case "ops" -> ops;
                  case "info" -> INFO;
                  default -> invoke(cpu, method, arguments);
                });
  }

  private interface Before {
    void call(String operation) throws Throwable;
  }

  private static <T> T proxy(Class<T> type, T delegate, Before before) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (self, method, arguments) -> {
              before.call(method.getName());
              return invoke(delegate, method, arguments);
            }));
  }

  private static Object invoke(Object delegate, java.lang.reflect.Method method, Object[] arguments)
      throws Throwable {
    try {
      return method.invoke(delegate, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
