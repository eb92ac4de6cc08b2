package org.tessera.cli;

import java.io.PrintWriter;
import org.tessera.error.TesseraException;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Parses a command line, runs the command, and turns failures into sentences and exit codes. */
final class CommandRunner {
  /** A request that cannot be answered: a file, a checkpoint or a device is not as it must be. */
  static final int FAILED = 1;

  /** A command line that is wrong. */
  static final int USAGE = 2;

  /** A bug of this program: EX_SOFTWARE of sysexits.h. */
  static final int BUG = 70;

  private CommandRunner() {}

  /** Runs {@code args} and returns the exit code. */
  static int run(Output output, Installation installation, String... args) {
    TesseraCommand root = new TesseraCommand();
    CommandLine commandLine = new CommandLine(root);
    commandLine
        .addSubcommand(new ChatCommand(output, installation))
        .addSubcommand(new DemoCommand(output, installation))
        .addSubcommand(new ServeCommand(output, installation))
        .addSubcommand(new InspectCommand(output, installation))
        .addSubcommand(new PlanCommand(output, installation))
        .addSubcommand(new BenchCommand(output, installation))
        .addSubcommand(new EvaluateCommand(output, installation))
        .addSubcommand(new DoctorCommand(output, installation))
        .addSubcommand(new CommandLine.HelpCommand());
    for (CommandLine command : commandLine.getSubcommands().values()) {
      command.getCommandSpec().versionProvider(new TesseraCommand.Version());
    }
    commandLine
        .setOut(new PrintWriter(output.out(), true))
        .setErr(new PrintWriter(output.err(), true))
        .setUsageHelpAutoWidth(true)
        .setParameterExceptionHandler((e, ignored) -> usageError(output, e))
        .setExecutionExceptionHandler((e, line, parsed) -> failure(output, e, root.verbose()));
    return commandLine.execute(args);
  }

  private static int usageError(Output output, ParameterException e) {
    output.note("tessera: " + sentence(e));
    if (!UnmatchedArgumentException.printSuggestions(e, output.err())) {
      output.note(
          "`%s --help` lists the options"
              .formatted(e.getCommandLine().getCommandSpec().qualifiedName()));
    }
    return USAGE;
  }

  private static int failure(Output output, Exception e, boolean verbose) {
    output.out().flush();
    if (e instanceof TesseraException) {
      output.note("tessera: " + sentence(e));
    } else {
      output.note(
          "tessera: this is a bug in Tessera, please report it: %s%s"
              .formatted(
                  e.getClass().getSimpleName(), e.getMessage() == null ? "" : ": " + sentence(e)));
    }
    if (verbose) {
      e.printStackTrace(output.err());
      output.err().flush();
    }
    return e instanceof TesseraException ? FAILED : BUG;
  }

  private static String sentence(Exception e) {
    return Printable.line(String.valueOf(e.getMessage()));
  }
}
