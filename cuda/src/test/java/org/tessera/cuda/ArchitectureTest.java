package org.tessera.cuda;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

/** The rules of docs/architecture.md that the CUDA backend must keep. */
@AnalyzeClasses(packages = "org.tessera.cuda", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
  @ArchTest
  static final ArchRule bindingsKnowNothingAboveThem =
      classes()
          .that()
          .resideInAPackage("org.tessera.cuda.ffm..")
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(
              "org.tessera.cuda.ffm..", "org.tessera.error..", "org.jspecify..", "java..");

  @ArchTest
  static final ArchRule onlyBindingsCallNativeFunctions =
      noClasses()
          .that()
          .resideOutsideOfPackage("org.tessera.cuda.ffm..")
          .should()
          .dependOnClassesThat()
          .haveFullyQualifiedName("java.lang.foreign.Linker")
          .orShould()
          .dependOnClassesThat()
          .haveFullyQualifiedName("java.lang.foreign.SymbolLookup");

  @ArchTest
  static final ArchRule theBackendKnowsDevicesAndOperationsOnly =
      classes()
          .should()
          .onlyDependOnClassesThat()
          .resideInAnyPackage(
              "org.tessera.cuda..",
              "org.tessera.device..",
              "org.tessera.error..",
              "org.tessera.ops..",
              "org.tessera.parallel..",
              "org.tessera.tensor..",
              "org.jspecify..",
              "java..");

  @ArchTest
  static final ArchRule nothingPrints =
      noClasses()
          .should()
          .accessField(System.class, "out")
          .orShould()
          .accessField(System.class, "err");

  @ArchTest
  static final ArchRule noGlobalState = noFields().that().areStatic().should().notBeFinal();
}
