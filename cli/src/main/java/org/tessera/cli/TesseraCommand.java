package org.tessera.cli;

import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command above all others: it only knows their names. */
@Command(
    name = "tessera",
    mixinStandardHelpOptions = true,
    versionProvider = TesseraCommand.Version.class,
    synopsisSubcommandLabel = "COMMAND",
    description =
        "Asks pictures questions with MiniCPM-V 2.6, on the JVM, straight from its Hugging Face"
            + " checkpoint.",
    footer = {
      "",
      "Start with `tessera demo`. Exit codes: 0 done, 1 a request, file or device is not as it must"
          + " be, 2 wrong usage, 70 a bug."
    })
final class TesseraCommand implements Callable<Integer> {
  // NullAway: picocli sets it before anything runs.
  @SuppressWarnings("NullAway.Init")
  @Spec
  private CommandSpec spec;

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "Print stack traces of errors.")
  private boolean verbose;

  boolean verbose() {
    return verbose;
  }

  @Override
  public Integer call() {
    throw new ParameterException(spec.commandLine(), "a command is missing");
  }

  /** The version in the jar's manifest. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version =
          Optional.ofNullable(TesseraCommand.class.getPackage().getImplementationVersion())
              .orElse("(not packaged)");
      return new String[] {
        "tessera " + version, "Java ${java.version} (${java.vendor}), ${os.name} ${os.arch}"
      };
    }
  }
}
