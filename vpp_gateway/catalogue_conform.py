"""Texts of the conformance harness, English and Japanese."""

from __future__ import annotations

from typing import Final

CONFORM: Final[dict[str, tuple[str, str]]] = {
    "conform.title": ("Conformance report: {standard}", "適合テスト報告書：{standard}"),
    "conform.subject": (
        "Tested: {subject}. Start: {at} (UTC).",
        "テスト対象：{subject}。開始：{at}（UTC）。",
    ),
    "conform.procedures": ("Procedures", "テスト手順"),
    "conform.coverage": ("Coverage of the rules", "規則の網羅状況"),
    "conform.verdict.pass": ("pass", "合格"),
    "conform.verdict.fail": ("fail", "不合格"),
    "conform.verdict.not_applicable": ("not applicable", "対象外"),
    "conform.column.id": ("Procedure", "手順"),
    "conform.column.title": ("What it shows", "確認内容"),
    "conform.column.rules": ("Rules", "規則"),
    "conform.column.verdict": ("Verdict", "判定"),
    "conform.column.reason": ("Reason", "理由"),
    "conform.column.seconds": ("s", "秒"),
    "conform.column.rule": ("Rule", "規則"),
    "conform.column.text": ("In our words", "内容"),
    "conform.column.procedures": ("Procedures", "手順数"),
    "conform.column.mutants": ("Mutants", "欠陥例数"),
    "conform.sum": (
        "{passed} passed, {failed} failed, {skipped} not applicable, in {seconds} s",
        "合格 {passed}、不合格 {failed}、対象外 {skipped}、所要 {seconds} 秒",
    ),
    "conform.mutants": (
        "{caught} of {count} mutants caught",
        "欠陥例 {count} 件のうち {caught} 件を検出",
    ),
    "conform.missed": (
        "mutant not caught: {procedure}: {mutant}",
        "欠陥例を検出できません：{procedure}：{mutant}",
    ),
    "conform.uncovered": ("rules without a procedure: {rules}", "手順のない規則：{rules}"),
    "conform.unknown_case": (
        "no procedure '{found}'; see `vpp-gateway conform openadr2 --list`",
        "手順 '{found}' はありません。`vpp-gateway conform openadr2 --list` を参照してください",
    ),
    "conform.bad_procedure": ("procedure: {why}", "手順：{why}"),
}
"""Key -> (English, Japanese)."""
